# plot() draws what autoplot() returns, and returns it invisibly.

plot_object <- function(x, ...) {
  picture <- ggplot2::autoplot(x, ...)
  print(picture)
  invisible(picture)
}

#' @rdname sense_fit
#' @export
plot.sense_fit <- function(x, ...) plot_object(x, ...)

#' @rdname autoplot.sense_evaluation
#' @export
plot.sense_evaluation <- function(x, ...) plot_object(x, ...)

#' @rdname compare_sense
#' @export
plot.sense_comparison <- function(x, ...) plot_object(x, ...)

#' @rdname accuracies
#' @export
plot.sense_accuracies <- function(x, ...) plot_object(x, ...)

#' @rdname adversarial_examples
#' @export
plot.sense_examples <- function(x, ...) plot_object(x, ...)

#' @rdname autoplot.linear_at
#' @export
plot.linear_at <- function(x, ...) plot_object(x, ...)

#' @rdname confusion
#' @export
plot.sense_confusion <- function(x, ...) plot_object(x, ...)

#' @rdname calibration
#' @export
plot.sense_calibration <- function(x, ...) plot_object(x, ...)
