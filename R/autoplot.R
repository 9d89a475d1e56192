#' @importFrom ggplot2 autoplot
#' @export
ggplot2::autoplot

#' @importFrom ggplot2 .data
NULL

#' @rdname sense_fit
#' @export
autoplot.sense_fit <- function(object, ...) {
  curves <- training_curves(object$metrics)
  ggplot2::ggplot(
    curves,
    ggplot2::aes(
      .data$epoch, .data$value, colour = .data$series, linetype = .data$series,
      shape = .data$series
    )
  ) +
    ggplot2::geom_ribbon(
      ggplot2::aes(ymin = .data$lower, ymax = .data$upper, group = .data$series),
      data = curves[!is.na(curves$lower), ], fill = "grey80", alpha = 0.6, colour = NA,
      show.legend = FALSE
    ) +
    line_of_several(curves$epoch) +
    ggplot2::geom_point(size = 1.5) +
    ggplot2::facet_wrap(ggplot2::vars(.data$panel), scales = "free_y") +
    ggplot2::scale_x_continuous(breaks = function(limits) unique(round(pretty(limits)))) +
    ggplot2::expand_limits(y = 0) +
    series_scales(levels(curves$series), setdiff(levels(curves$series), "loss")) +
    ggplot2::labs(
      x = "epoch", y = NULL,
      title = paste(strwrap(describe_method(object$config), 80), collapse = "\n")
    ) +
    wrapped_caption(sprintf(
      "%s on %s. Accuracy (from 0 to 1) on %s, natural and under %s; bands: 95 %% Wilson intervals.",
      object$config$model, object$data$name, monitored_words(object$metrics),
      monitored_attack(object$config)
    )) +
    sense_theme() +
    ggplot2::theme(panel.spacing.x = ggplot2::unit(8, "pt"))
}

# One row per epoch and curve, in panels.
training_curves <- function(metrics) {
  panels <- c("accuracy", "training loss", "share in each stage")
  accuracies <- monitored_accuracies(metrics)
  stages <- stage_shares(metrics)
  without <- function(panel, epoch, series, value) {
    data.frame(panel = panel, epoch = epoch, series = series, value = value, lower = NA, upper = NA)
  }
  curves <- rbind(
    data.frame(
      panel = panels[1], epoch = accuracies$epoch, series = accuracies$accuracy,
      value = accuracies$estimate, lower = accuracies$lower, upper = accuracies$upper
    ),
    without(panels[2], metrics$epoch, "loss", metrics$loss),
    if (nrow(stages)) {
      without(panels[3], stages$epoch, paste("stage", stages$stage), stages$share)
    }
  )
  curves$panel <- factor(curves$panel, panels)
  curves$series <- factor(curves$series, c(setdiff(curves$series, "loss"), "loss"))
  curves
}
