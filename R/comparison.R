#' @rdname compare_sense
#' @export
print.sense_comparison <- function(x, ...) {
  first <- x$evaluations[[1]]
  cat(sprintf(
    "<sense_comparison> %d networks, %s\n%s\n", length(x$evaluations),
    describe_images(first$data), describe_ball(first$options)
  ))
  methods <- vapply(x$evaluations, function(one) one$target$method, "")
  cat(sprintf("  %s: %s\n", names(methods), methods)[names(methods) != methods], "\n", sep = "")
  print_cells(comparison_cells(x))
  cat(sprintf(
    "\nDifferences are in percentage points, with Tango's %g %% intervals. Only one correct: images\nthat only the first : only the second network classifies correctly. p: McNemar's exact\ntest; Holm's adjustment is over the %d rows.\n",
    100 * x$level, nrow(x$pairs)
  ))
  if (NROW(x$seeds)) {
    cat("\nOver training seeds:\n")
    print_cells(seed_cells(x$seeds))
  }
  cat(sprintf("%s\n", seed_notes(x$evaluations)), sep = "")
  invisible(x)
}

# The paired table as it is printed.
comparison_cells <- function(x) {
  with(x$pairs, stats::setNames(
    data.frame(
      sprintf("%s - %s", first, second), label,
      sprintf("%+.1f [%+.1f, %+.1f]", 100 * difference, 100 * lower, 100 * upper),
      sprintf("%d : %d of %d", only_first, only_second, n), format_p(p), format_p(p_holm)
    ),
    c("networks", "attack", "difference", "only one correct", "p", "p (Holm)")
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
  shown$couple <- wrapped_factor(pair_labels(shown))
  shown$label <- factor(shown$label, unique(shown$label))
  shown$result <- test_results(shown, object$level)
  ggplot2::ggplot(shown, ggplot2::aes(100 * .data$difference, .data$couple)) +
    ggplot2::geom_vline(xintercept = 0, linetype = "dashed", colour = "grey40") +
    ggplot2::geom_linerange(ggplot2::aes(xmin = 100 * .data$lower, xmax = 100 * .data$upper)) +
    ggplot2::geom_point(ggplot2::aes(shape = .data$result), size = 2, fill = "white") +
    # In the free part of the axis at the right.
    ggplot2::geom_text(
      ggplot2::aes(x = Inf, label = sprintf("%+.1f", 100 * .data$difference)), hjust = 1.15, size = 2.9
    ) +
    ggplot2::scale_x_continuous(expand = ggplot2::expansion(mult = c(0.06, 0.3))) +
    ggplot2::scale_shape_manual(
      values = stats::setNames(c(16, 13, 21), levels(shown$result)), drop = FALSE
    ) +
    ggplot2::scale_y_discrete(limits = rev) +
    facet_attacks("label") +
    ggplot2::expand_limits(x = 0) +
    ggplot2::labs(x = "difference of accuracies, percentage points", y = NULL, shape = NULL) +
    ggplot2::guides(shape = ggplot2::guide_legend(ncol = 1)) +
    wrapped_caption(sprintf(
      "%s; %s. Bars: Tango's %g %% interval of each difference on its own, not adjusted for the number of comparisons. Symbols: McNemar's exact test at level %g, on its own and adjusted by Holm's method for all %d comparisons.",
      describe_ball(object$evaluations[[1]]$options), describe_images(object$evaluations[[1]]$data),
      100 * object$level, 1 - object$level, nrow(shown)
    )) +
    sense_theme() +
    ggplot2::theme(legend.position = "top", legend.justification = "left")
}

pair_labels <- function(pairs) sprintf("%s minus %s", pairs$first, pairs$second)

test_results <- function(pairs, level) {
  results <- c(
    "significant, also after Holm's adjustment", "significant on its own only", "not significant"
  )
  alpha <- 1 - level
  factor(
    ifelse(pairs$p_holm < alpha, results[1], ifelse(pairs$p < alpha, results[2], results[3])), results
  )
}
