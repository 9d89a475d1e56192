#' Calibration of the probabilities
#'
#' Compares the probability of the predicted class (the confidence) with the share of correct
#' predictions, in bins of confidence. A network is calibrated if both agree: of the images with
#' confidence 0.8, 80 % are classified correctly. Under an attack a network may be wrong and confident.
#'
#' The expected calibration error (ECE) is the mean over images of the absolute difference between
#' accuracy and mean confidence in the bin of the image. It is larger than 0 for a calibrated network
#' too, because the accuracy of a bin is a share of few images. `ece_if_calibrated` is the 95 % quantile
#' of the ECE of a calibrated network with the same confidences, from 1000 simulations: an ECE above it
#' is evidence of miscalibration. The largest difference of a bin is `mce`.
#'
#' @param object A [sense_fit], the folder of a run, the result of [adversarial_examples()], or a matrix
#'   of probabilities with a row for each image and the classes as column names.
#' @param ... For a fit: arguments of [adversarial_examples()], such as `attack`, `steps` and `y`. By
#'   default the attack is PGD. Otherwise not used.
#' @param n Number of test images. Default: 500, or all if these are fewer.
#' @param truth The true classes of the rows of a matrix.
#' @param bins Number of bins of equal width from 0 to 1.
#' @param level Confidence level of the intervals.
#' @param x For a fit: own test images, as in [adversarial_examples()]. Otherwise what the generics pass on.
#' @param row.names,optional What the generics pass on.
#' @return An object of class `sense_calibration`: a list of
#'   * `bins`: a data frame with a row for each bin that has images: `images` (`"natural"` or the name
#'     of the attack), the bin's ends `from` and `to`, the mean `confidence`, and the accuracy `k`, `n`,
#'     `estimate`, `lower`, `upper` (Wilson);
#'   * `summary`: a data frame with a row for each set of images: `n`, `accuracy`, mean `confidence`,
#'     `ece`, `ece_if_calibrated` and `mce`;
#'   * `title` and `level`.
#'
#'   `as.data.frame()` returns the bins, `autoplot()` draws the reliability diagram.
#' @source Guo, Pleiss, Sun and Weinberger (2017), *On calibration of modern neural networks* (ECE);
#'   Bröcker and Smith (2007), *Increasing the reliability of reliability diagrams* (the simulation).
#' @examples
#' # Made up: right in 70 % of the cases, but 90 % sure.
#' probabilities <- cbind(cat = rep(0.9, 100), dog = 0.1)
#' truth <- rep(c("cat", "dog"), c(70, 30))
#' calibration(probabilities, truth)
#' if (sense_available()) {
#'   run <- system.file("extdata", "mnist-demo", "sense", package = "sense")
#'   autoplot(calibration(run, n = 100, steps = 5, restarts = 1))
#' }
#' @seealso [confusion()] counts the predicted classes.
#' @family functions to evaluate
#' @export
calibration <- function(object, ...) UseMethod("calibration")

#' @rdname calibration
#' @export
calibration.default <- function(object, ...) {
  if (is_string(object)) {
    return(calibration.sense_fit(read_sense_fit(object), ...))
  }
  refuse(
    object, "object", "a <sense_fit>, the folder of a run, <sense_examples> or a matrix of probabilities",
    if (inherits(object, "sense_evaluation")) {
      "An evaluation stores predicted classes without their probabilities: give the fit, such as `read_sense_fit(evaluation$folder)`."
    }
  )
}

#' @rdname calibration
#' @export
calibration.sense_fit <- function(object, n = NULL, ..., x = NULL, bins = 10, level = 0.95) {
  n <- n %||% max(1, min(500, nrow(x) %||% object$data$test))
  result <- calibration.sense_examples(adversarial_examples(object, n = n, x = x, ...), bins = bins, level = level)
  result$title <- title_of_fit(object)
  result
}

#' @rdname calibration
#' @export
calibration.sense_examples <- function(object, ..., bins = 10, level = 0.95) {
  table <- object$table
  sets <- list(
    natural = list(confidence = table$probability, correct = table$prediction == table$class),
    attacked = list(
      confidence = table$attacked_probability, correct = table$attacked == table$class
    )
  )
  names(sets)[2] <- object$attack$label %||% "attacked"
  new_calibration(sets, object$model, bins, level)
}

#' @rdname calibration
#' @export
calibration.matrix <- function(object, truth, ..., bins = 10, level = 0.95) {
  classes <- colnames(object)
  sums <- if (plain_numbers(object)) rowSums(object)
  if (is.null(classes) || anyDuplicated(classes) || is.null(sums) || !nrow(object) || !all(is.finite(object), object >= 0) ||
    any(abs(sums - 1) > 1e-3)) {
    refuse(
      object, "object", "a matrix of probabilities, whose rows sum to 1 and whose columns have the names of the classes, each once"
    )
  }
  truth <- known_classes(if (!missing(truth)) truth, classes, nrow(object), "truth")
  confidence <- apply(object, 1, max)
  set <- list(confidence = confidence, correct = most_probable(object) == truth)
  new_calibration(list(natural = set), "", bins, level)
}

new_calibration <- function(sets, title, bins, level, call = parent.frame()) {
  bins <- check_count(bins, call = call)
  check_level(level, call = call)
  tables <- lapply(sets, calibration_bins, bins, level)
  rows <- Map(function(set, table) {
    data.frame(
      n = length(set$correct), accuracy = mean(set$correct), confidence = mean(set$confidence),
      ece = calibration_error(set, bins), ece_if_calibrated = error_if_calibrated(set, bins),
      mce = max(abs(table$estimate - table$confidence))
    )
  }, sets, tables)
  named_rows <- function(tables) {
    cbind(images = rep(names(tables), vapply(tables, nrow, 1L)), do.call(rbind, unname(tables)))
  }
  structure(
    list(bins = named_rows(tables), summary = named_rows(rows), title = title, level = level),
    class = "sense_calibration"
  )
}

# The bin of each confidence: (0, 1/bins], (1/bins, 2/bins] and so on.
bin_of <- function(confidence, bins) pmin(pmax(ceiling(confidence * bins), 1), bins)

calibration_bins <- function(set, bins, level) {
  bin <- bin_of(set$confidence, bins)
  found <- sort(unique(bin))
  sums <- function(x) as.vector(rowsum(as.numeric(x), bin))
  n <- sums(bin > 0)
  data.frame(
    from = (found - 1) / bins, to = found / bins, confidence = sums(set$confidence) / n,
    wilson_interval(sums(set$correct), n, level)
  )
}

# Sum over bins of |correct - confidence|, per image. `correct` may be a matrix with a column for each
# simulation.
calibration_error <- function(set, bins) {
  gap <- rowsum(set$correct - set$confidence, bin_of(set$confidence, bins))
  colSums(abs(gap)) / length(set$confidence)
}

error_if_calibrated <- function(set, bins, simulations = 1000, level = 0.95) {
  n <- length(set$confidence)
  set$correct <- with_seed(1, matrix(stats::rbinom(n * simulations, 1, set$confidence), n))
  unname(stats::quantile(calibration_error(set, bins), level))
}

#' @rdname calibration
#' @export
print.sense_calibration <- function(x, ...) {
  cat("<sense_calibration> ", x$title, "\n", sep = "")
  summary <- x$summary
  print_cells(data.frame(
    images = summary$images, n = summary$n, accuracy = percent_number(summary$accuracy),
    confidence = percent_number(summary$confidence), ECE = sprintf("%.4f", summary$ece),
    `95 % quantile if calibrated` = sprintf("%.4f", summary$ece_if_calibrated),
    `largest difference` = sprintf("%.3f", summary$mce), check.names = FALSE
  ))
  invisible(x)
}

#' @rdname calibration
#' @export
as.data.frame.sense_calibration <- function(x, row.names = NULL, optional = FALSE, ...) x$bins

#' @rdname calibration
#' @export
autoplot.sense_calibration <- function(object, ...) {
  summary <- object$summary
  heads <- sprintf("%s\nECE %.3f, %.3f if calibrated", summary$images, summary$ece, summary$ece_if_calibrated)
  shown <- object$bins
  shown$panel <- factor(shown$images, summary$images, heads)
  ggplot2::ggplot(shown, ggplot2::aes(.data$confidence, .data$estimate)) +
    ggplot2::geom_abline(linetype = "42", colour = "grey50") +
    ggplot2::geom_linerange(ggplot2::aes(ymin = .data$lower, ymax = .data$upper), colour = series_colours[1]) +
    ggplot2::geom_point(ggplot2::aes(size = .data$n), colour = series_colours[1]) +
    ggplot2::facet_wrap(ggplot2::vars(.data$panel)) +
    share_axis(ggplot2::scale_x_continuous) +
    share_axis(ggplot2::scale_y_continuous) +
    ggplot2::scale_size_continuous(range = c(1.2, 5), name = "images in the bin") +
    ggplot2::coord_equal() +
    ggplot2::labs(
      x = "probability of the predicted class", y = "predicted correctly",
      title = if (nzchar(object$title)) object$title
    ) +
    wrapped_caption(sprintf(
      "%s Bars: %g %% Wilson intervals. Dashed: calibrated. ECE of a calibrated network is below the second number in 95 %% of simulations.",
      paste(sprintf("%s: n = %d.", summary$images, summary$n), collapse = " "), 100 * object$level
    )) +
    sense_theme() +
    ggplot2::theme(panel.grid.major = ggplot2::element_line(colour = "grey94"))
}
