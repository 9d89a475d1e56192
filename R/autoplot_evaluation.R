#' Pictures of an evaluation
#'
#' @param object A [sense_evaluation].
#' @param type What is drawn:
#'   * `"accuracy"`, the accuracy under each attack with its interval;
#'   * `"curve"`, accuracy under PGD by the radius of the ball, with a band
#'     (evaluated with `curve =`);
#'   * `"loss"`, the cross-entropy of each image by step of PGD's first restart
#'     (left panel of the paper's figures 8 and 9; evaluated with
#'     `convergence =`);
#'   * `"worst-case"`, the accuracy that is left by step and restart, an image
#'     counting as long as no point so far fooled the network (their right
#'     panels).
#' @param ... Not used.
#' @return A ggplot.
#' @examples
#' runs <- system.file("extdata", "mnist-demo", package = "sense")
#' autoplot(read_sense_evaluation(file.path(runs, "sense")))
#' @export
autoplot.sense_evaluation <- function(object, type = c("accuracy", "curve", "loss", "worst-case"),
                                      ...) {
  type <- check_choice(type, c("accuracy", "curve", "loss", "worst-case"))
  switch(type,
    accuracy = plot_attacks(object),
    curve = plot_curves(stats::setNames(list(object), object$target$method)),
    loss = plot_losses(object),
    "worst-case" = plot_worst_case(object)
  )
}

plot_attacks <- function(object) {
  shown <- object$accuracy
  shown$label <- factor(shown$label, rev(shown$label))
  ggplot2::ggplot(shown, ggplot2::aes(.data$estimate, .data$label)) +
    accuracy_layers() +
    ggplot2::labs(x = "correctly classified test images", y = NULL, title = title_of(object)) +
    wrapped_caption(sprintf(
      "%s; %s. Bars: %g %% Wilson intervals.",
      describe_ball(object$options), describe_images(object$data), 100 * object$level
    )) +
    sense_theme()
}

title_of <- function(object) sprintf("%s, %s", object$target$method, object$target$model)

# Accuracy by radius of one or several evaluations, by name, told apart by line type and shape.
plot_curves <- function(evaluations, call = parent.frame()) {
  for (one in evaluations) need(one$curve, one, "curve = c(0.1, 0.2, 0.3)", call)
  shown <- do.call(rbind, lapply(names(evaluations), function(name) {
    cbind(run = name, evaluations[[name]]$curve)
  }))
  shown$run <- factor(shown$run, names(evaluations))
  first <- evaluations[[1]]
  ggplot2::ggplot(
    shown,
    ggplot2::aes(.data$eps, .data$estimate, linetype = .data$run, shape = .data$run)
  ) +
    ggplot2::geom_ribbon(
      ggplot2::aes(ymin = .data$lower, ymax = .data$upper, group = .data$run),
      fill = "grey60", alpha = 0.35, show.legend = FALSE
    ) +
    ggplot2::geom_line() +
    ggplot2::geom_point(size = 2) +
    ggplot2::scale_y_continuous(limits = c(0, 1), labels = percent_label) +
    ggplot2::labs(
      x = sprintf("eps, radius of the l%s ball", norm_word(first$options$norm)),
      y = "accuracy under PGD", linetype = NULL, shape = NULL,
      title = if (length(evaluations) == 1) title_of(first)
    ) +
    wrapped_caption(sprintf(
      "%s; %s. Bands: %g %% Wilson intervals.",
      first$attacks$pgd$label %||% "PGD", describe_images(first$data), 100 * first$level
    )) +
    sense_theme() +
    ggplot2::theme(legend.position = if (length(evaluations) == 1) "none" else "bottom")
}

norm_word <- function(norm) if (norm == "inf") "-infinity" else norm

plot_losses <- function(object, call = parent.frame(2)) {
  need(object$convergence, object, "convergence = 100", call)
  losses <- object$convergence
  middle <- stats::aggregate(loss ~ step, losses, stats::median)
  n <- length(unique(losses$image))
  ggplot2::ggplot(losses, ggplot2::aes(.data$step, .data$loss)) +
    ggplot2::geom_line(
      ggplot2::aes(group = .data$image), colour = "grey40", alpha = 0.4, linewidth = 0.3
    ) +
    ggplot2::geom_line(data = middle, linewidth = 1.2) +
    ggplot2::labs(
      x = "step of PGD", y = "cross-entropy", title = title_of(object)
    ) +
    wrapped_caption(sprintf(
      "One restart of %s; a line is one of the first %d evaluated images, the thick one their median.",
      pgd_words(object), n
    )) +
    sense_theme()
}

plot_worst_case <- function(object, call = parent.frame(2)) {
  need(object$convergence_accuracy, object, "convergence = 100", call)
  shown <- object$convergence_accuracy
  last <- max(shown$restart)
  shown$which <- factor(shown$restart)
  ggplot2::ggplot(
    shown,
    ggplot2::aes(.data$step, .data$estimate, colour = .data$restart, group = .data$which)
  ) +
    ggplot2::geom_ribbon(
      ggplot2::aes(ymin = .data$lower, ymax = .data$upper),
      data = shown[shown$restart == last, ], fill = "grey60", alpha = 0.35, colour = NA, show.legend = FALSE
    ) +
    ggplot2::geom_step(linewidth = 0.8) +
    ggplot2::scale_colour_gradient(
      low = "grey70", high = "black", breaks = if (last > 6) c(1, last) else seq_len(last),
      guide = ggplot2::guide_legend(title = "restart")
    ) +
    ggplot2::scale_y_continuous(labels = percent_label) +
    ggplot2::labs(
      x = "step of PGD", y = "worst case so far", title = title_of(object)
    ) +
    wrapped_caption(sprintf(
      "%s; the first %d evaluated images. A restart goes on from the worst case of those before it. Band: %g %% Wilson interval of the last one.",
      pgd_words(object), shown$n[1], 100 * object$level
    )) +
    sense_theme()
}

# "PGD with step size 0.01, l-infinity eps = 0.3"
pgd_words <- function(object) {
  size <- object$attacks$pgd$step_size
  paste0(
    "PGD", if (!is.null(size)) sprintf(" with step size %s", format_radius(size)), ", ",
    describe_ball(object$options)
  )
}

need <- function(part, object, option, call) {
  if (is.null(part)) {
    cli::cli_abort(
      c(
        "{.val {object$target$name %||% basename(object$folder)}} was evaluated without that.",
        i = "Evaluate it with {.code evaluate_sense(fit, {option})}."
      ),
      call = call
    )
  }
}
