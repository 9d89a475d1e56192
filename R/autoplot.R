#' @importFrom ggplot2 autoplot
#' @export
ggplot2::autoplot

#' @importFrom ggplot2 .data
NULL

#' @rdname sense_fit
#' @export
autoplot.sense_fit <- function(object, ...) {
  accuracies <- monitored_accuracies(object$metrics)
  stages <- stage_shares(object$metrics)
  loss <- object$metrics[c("epoch", "loss")]
  panels <- c("Accuracy (monitored)", "Training loss", "Stages of training images")
  curves <- rbind(
    data.frame(
      panel = panels[1], epoch = accuracies$epoch, series = accuracies$accuracy,
      value = accuracies$estimate, lower = accuracies$lower, upper = accuracies$upper
    ),
    data.frame(
      panel = panels[2], epoch = loss$epoch, series = "loss", value = loss$loss,
      lower = NA, upper = NA
    ),
    if (nrow(stages)) {
      data.frame(
        panel = panels[3], epoch = stages$epoch, series = paste("stage", stages$stage),
        value = stages$share, lower = NA, upper = NA
      )
    }
  )
  curves$panel <- factor(curves$panel, panels)
  curves$series <- factor(curves$series, unique(curves$series))
  ends <- curves[curves$epoch == max(curves$epoch), ]
  ggplot2::ggplot(curves, ggplot2::aes(.data$epoch, .data$value, group = .data$series)) +
    ggplot2::geom_ribbon(
      ggplot2::aes(ymin = .data$lower, ymax = .data$upper),
      data = curves[!is.na(curves$lower), ], fill = "grey80", alpha = 0.6
    ) +
    ggplot2::geom_line(ggplot2::aes(linetype = .data$series)) +
    ggplot2::geom_point(ggplot2::aes(shape = .data$series)) +
    ggplot2::geom_text(
      ggplot2::aes(label = .data$series),
      data = ends, hjust = 0, nudge_x = 0.2, size = 3
    ) +
    ggplot2::facet_wrap(ggplot2::vars(.data$panel), scales = "free_y") +
    ggplot2::scale_x_continuous(
      breaks = function(limits) unique(round(pretty(limits))),
      expand = ggplot2::expansion(mult = c(0.05, 0.25))
    ) +
    ggplot2::expand_limits(y = 0) +
    ggplot2::guides(linetype = "none", shape = "none") +
    ggplot2::labs(
      x = "epoch", y = NULL, title = describe_method(object$config),
      caption = sprintf(
        "%s on %s. Accuracy on %s, natural and under PGD-%d; bands: 95 %% Wilson intervals.",
        object$config$model, object$data$name, monitored_words(object$metrics), object$config$steps
      )
    ) +
    ggplot2::theme_bw()
}
