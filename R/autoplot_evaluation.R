#' Pictures of an evaluation
#'
#' @param object,x A [sense_evaluation].
#' @param type What to draw:
#'   * `"accuracy"`: the accuracy under each attack, with its interval;
#'   * `"curve"`: the accuracy under PGD against the radius of the ball, with a
#'     band of intervals (needs an evaluation with `curve =`);
#'   * `"loss"`: the cross-entropy of each image against the step of one restart
#'     of PGD (left panel of the paper's figures 8 and 9; needs an evaluation
#'     with `convergence =`);
#'   * `"worst-case"`: the share of images that all steps and restarts so far
#'     left correctly classified (right panel of these figures).
#' @param ... Not used.
#' @return A ggplot.
#' @examples
#' runs <- system.file("extdata", "mnist-demo", package = "sense")
#' autoplot(read_sense_evaluation(file.path(runs, "sense")))
#' @family functions to evaluate
#' @export
autoplot.sense_evaluation <- function(object, type = c("accuracy", "curve", "loss", "worst-case"),
                                      ...) {
  type <- check_choice(type, c("accuracy", "curve", "loss", "worst-case"))
  switch(type,
    accuracy = plot_attacks(object),
    curve = plot_curves(list(object)),
    loss = plot_losses(object),
    "worst-case" = plot_worst_case(object)
  )
}

plot_attacks <- function(object) {
  shown <- object$accuracy
  shown$label <- wrapped_factor(shown$label)
  ggplot2::ggplot(shown, ggplot2::aes(.data$estimate, .data$label)) +
    accuracy_layers() +
    accuracy_axis() +
    ggplot2::scale_y_discrete(limits = rev) +
    ggplot2::labs(x = "correctly classified test images", y = NULL, title = title_of(object)) +
    wrapped_caption(sprintf(
      "%s; %s. Bars: %g %% Wilson intervals.",
      describe_ball(object$options), describe_images(object$data), 100 * object$level
    )) +
    sense_theme()
}

# "SENSE-AT (c = 0.7), capacity-3", after the name of the run where that says more.
title_of <- function(object) {
  sprintf("%s, %s", run_labels(name_of(object), object$target$method), object$target$model)
}

# "SENSE-AT (c = 0.7), capacity-3"
title_of_fit <- function(fit) paste0(method_name(fit$config), ", ", fit$config$model)

# Accuracy against the radius, of one or several evaluations by name. Several stand beside each other
# at each radius, so that equal accuracies do not hide each other.
plot_curves <- function(evaluations, call = parent.frame()) {
  for (one in evaluations) need(one$curve, one, "curve = c(0.1, 0.2, 0.3)", call)
  first <- evaluations[[1]]
  several <- length(evaluations) > 1
  methods <- vapply(evaluations, function(one) one$target$method, "")
  labels <- if (several) run_labels(names(evaluations), methods) else methods
  shown <- do.call(rbind, Map(function(label, one) cbind(run = label, one$curve), labels, evaluations))
  shown$run <- wrapped_factor(shown$run, 60)
  radii <- sort(unique(shown$eps))
  beside <- if (several && length(radii) > 1) {
    ggplot2::position_dodge(width = 0.2 * min(diff(radii)))
  } else {
    "identity"
  }
  ggplot2::ggplot(
    shown,
    ggplot2::aes(
      .data$eps, .data$estimate, colour = .data$run, linetype = .data$run, shape = .data$run
    )
  ) +
    interval_layer(several, beside) +
    line_of_several(radii, position = beside) +
    ggplot2::geom_point(size = 2, position = beside) +
    share_axis(ggplot2::scale_y_continuous) +
    ggplot2::scale_x_continuous(breaks = if (length(radii) <= 10) radii else ggplot2::waiver()) +
    series_scales(levels(shown$run)) +
    ggplot2::labs(
      x = sprintf("radius eps of the l%s ball", norm_word(first$options$norm)),
      y = "correctly classified under PGD", title = if (!several) title_of(first)
    ) +
    wrapped_caption(sprintf(
      "%s; %s. %s: %g %% Wilson intervals.%s",
      first$attacks$pgd$label %||% "PGD", describe_images(first$data),
      if (several) "Bars" else "Band", 100 * first$level,
      if (several) " Points are shifted sideways so that equal ones can be seen." else ""
    )) +
    sense_theme() +
    ggplot2::theme(legend.position = if (several) "bottom" else "none")
}

# Bars for several curves, whose bands would cover each other; a band for one.
interval_layer <- function(several, position) {
  if (several) {
    interval_bars(position = position)
  } else {
    ggplot2::geom_ribbon(
      ggplot2::aes(ymin = .data$lower, ymax = .data$upper), fill = "grey60", alpha = 0.35, colour = NA,
      show.legend = FALSE
    )
  }
}

# The intervals at the points of curves, whatever the line type of the curve.
interval_bars <- function(...) {
  ggplot2::geom_linerange(
    ggplot2::aes(ymin = .data$lower, ymax = .data$upper), linetype = "solid", show.legend = FALSE, ...
  )
}

norm_word <- function(norm) if (norm == "inf") "-infinity" else norm

plot_losses <- function(object, call = parent.frame(2)) {
  need(object$convergence, object, "convergence = 100", call)
  draw_losses(object$convergence, pgd_words(object), title_of(object))
}

draw_losses <- function(losses, attack, title) {
  middle <- stats::aggregate(if (is.null(losses$seed)) loss ~ step else loss ~ step + seed, losses, stats::median)
  n <- length(unique(losses$image))
  ggplot2::ggplot(losses, ggplot2::aes(.data$step, .data$loss)) +
    ggplot2::geom_line(
      ggplot2::aes(group = .data$image), colour = "grey40", alpha = 0.4, linewidth = 0.3
    ) +
    ggplot2::geom_line(data = middle, linewidth = 1.2) +
    ggplot2::labs(
      x = "step of PGD", y = "cross-entropy", title = title
    ) +
    wrapped_caption(sprintf(
      "One restart of %s. Thin lines: the first %d evaluated images. Thick line: their median.",
      attack, n
    )) +
    seed_panels(losses) +
    sense_theme()
}

# A panel for each seed, if a table of curves has several.
seed_panels <- function(table) {
  if (length(unique(table$seed)) > 1) {
    ggplot2::facet_wrap(~seed, labeller = ggplot2::as_labeller(function(seed) paste("seed", seed)))
  }
}

plot_worst_case <- function(object, call = parent.frame(2)) {
  need(object$convergence_accuracy, object, "convergence = 100", call)
  draw_worst_case(object$convergence_accuracy, pgd_words(object), title_of(object), object$level)
}

draw_worst_case <- function(shown, attack, title, level) {
  last <- max(shown$restart)
  ggplot2::ggplot(
    shown,
    ggplot2::aes(.data$step, .data$estimate, colour = .data$restart, group = .data$restart)
  ) +
    ggplot2::geom_ribbon(
      ggplot2::aes(ymin = .data$lower, ymax = .data$upper),
      data = shown[shown$restart == last, ], fill = "grey60", alpha = 0.35, colour = NA,
      show.legend = FALSE
    ) +
    ggplot2::geom_step(linewidth = 0.8) +
    ggplot2::scale_colour_gradient(
      low = "grey70", high = "black", breaks = if (last > 6) c(1, last) else seq_len(last),
      guide = ggplot2::guide_legend(title = "restart")
    ) +
    ggplot2::scale_y_continuous(labels = percent_label) +
    ggplot2::labs(
      x = "step of PGD", y = "correctly classified so far", title = title
    ) +
    wrapped_caption(sprintf(
      "%s; the first %d evaluated images. Each restart starts with the images that the restarts before it left correctly classified. Band: %g %% Wilson interval for the last restart.",
      attack, shown$n[1], 100 * level
    )) +
    seed_panels(shown) +
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
    abort(
      c(
        "{.val {object$target$name %||% basename(object$folder)}} was evaluated without the option that this picture needs.",
        i = "Evaluate it again with {.code evaluate_sense(fit, {option})}."
      ),
      call = call
    )
  }
}
