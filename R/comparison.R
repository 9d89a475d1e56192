#' @rdname compare_sense
#' @export
print.sense_comparison <- function(x, ...) {
  first <- x$evaluations[[1]]
  cat(sprintf(
    "<sense_comparison> %d networks, %s\n%s\n\n", length(x$evaluations),
    describe_images(first$data), describe_ball(first$options)
  ))
  print_cells(comparison_cells(x))
  cat(sprintf(
    "\nDifferences are in percentage points, with Tango's %g %% intervals. Of the images that\nonly one has right: first : second. p: McNemar's exact test, Holm's over the %d rows.\n",
    100 * x$level, nrow(x$pairs)
  ))
  if (NROW(x$seeds)) {
    cat("\nOver seeds of training:\n")
    print_cells(seed_cells(x$seeds))
  }
  cat(sprintf("%s\n", apart_lines(x$evaluations)), sep = "")
  invisible(x)
}

# The paired table as people read it.
comparison_cells <- function(x) {
  with(x$pairs, stats::setNames(
    data.frame(
      sprintf("%s - %s", first, second), label,
      sprintf("%+.1f [%+.1f, %+.1f]", 100 * difference, 100 * lower, 100 * upper),
      sprintf("%d : %d of %d", only_first, only_second, n), format_p(p), format_p(p_holm)
    ),
    c("networks", "attack", "difference", "only one right", "p", "p (Holm)")
  ))
}

seed_cells <- function(seeds) {
  with(seeds, stats::setNames(
    data.frame(group, label, sprintf("%.1f %%", 100 * mean), sprintf("%.1f", 100 * sd), networks),
    c("networks", "attack", "mean", "sd, points", "seeds")
  ))
}

format_p <- function(p) ifelse(p < 1e-4, "< 0.0001", sprintf("%.4f", p))

#' @rdname compare_sense
#' @export
as.data.frame.sense_comparison <- function(x, row.names = NULL, optional = FALSE, ...) x$pairs

#' @rdname compare_sense
#' @export
autoplot.sense_comparison <- function(object, type = c("difference", "accuracy", "curve"), ...) {
  type <- check_choice(type, c("difference", "accuracy", "curve"))
  switch(type,
    difference = plot_differences(object),
    accuracy = autoplot(accuracies(object$evaluations, object$level)),
    curve = plot_curves(object$evaluations)
  )
}

plot_differences <- function(object) {
  shown <- object$pairs
  couples <- sprintf("%s - %s", shown$first, shown$second)
  shown$couple <- factor(couples, rev(unique(couples)))
  shown$label <- factor(shown$label, unique(shown$label))
  shown$told <- factor(
    ifelse(shown$p_holm < 1 - object$level, "apart", "not told apart"),
    c("apart", "not told apart")
  )
  ggplot2::ggplot(shown, ggplot2::aes(100 * .data$difference, .data$couple)) +
    ggplot2::geom_vline(xintercept = 0, linetype = "dashed", colour = "grey40") +
    ggplot2::geom_linerange(ggplot2::aes(xmin = 100 * .data$lower, xmax = 100 * .data$upper)) +
    ggplot2::geom_point(ggplot2::aes(shape = .data$told), size = 2.5, fill = "white") +
    ggplot2::scale_shape_manual(values = c(apart = 16, "not told apart" = 21), drop = FALSE) +
    ggplot2::facet_wrap(ggplot2::vars(.data$label), ncol = 2, scales = "free_x") +
    ggplot2::expand_limits(x = 0) +
    ggplot2::labs(
      x = "difference of accuracies, percentage points", y = NULL,
      shape = sprintf("McNemar's test at %g, Holm", 1 - object$level)
    ) +
    wrapped_caption(sprintf(
      "%s; %s. Bars: Tango's %g %% intervals, not adjusted.",
      describe_ball(object$evaluations[[1]]$options), describe_images(object$evaluations[[1]]$data),
      100 * object$level
    )) +
    sense_theme()
}
