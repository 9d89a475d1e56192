#' Confusion matrices
#'
#' Counts how often each class is predicted as each class, without an attack or under one.
#'
#' @param object A [sense_evaluation], or a [sense_fit] with the images to classify.
#' @param attack Name of an attack of the evaluation, or `"natural"` (default) for none.
#' @param newdata,y Images or rows and their classes, as in [predict.sense_fit()] and [train_sense()].
#' @param x,row.names,optional What the generics pass on.
#' @param ... Further arguments of [predict.sense_fit()]; otherwise not used.
#' @return An object of class `sense_confusion`: a list of `table`, the counts with the true classes in
#'   rows and the predicted ones in columns, and `title`. `as.data.frame()` returns a row for each cell
#'   (`truth`, `prediction`, `n`). `autoplot()` draws the shares of each row.
#' @examples
#' run <- system.file("extdata", "mnist-demo", "sense", package = "sense")
#' evaluation <- read_sense_evaluation(run)
#' confusion(evaluation)
#' autoplot(confusion(evaluation, "autoattack"))
#' @seealso [calibration()] compares the probabilities with the accuracy.
#' @family functions to evaluate
#' @export
confusion <- function(object, ...) UseMethod("confusion")

#' @export
confusion.default <- function(object, ...) {
  refuse(object, "object", "a <sense_evaluation> or a <sense_fit>")
}

#' @rdname confusion
#' @export
confusion.sense_evaluation <- function(object, attack = "natural", ...) {
  predictions <- augment.sense_evaluation(object)
  attack <- check_choice(attack, unique(predictions$attack))
  predictions <- predictions[predictions$attack == attack, ]
  label <- object$accuracy$label[match(attack, object$accuracy$attack)]
  words <- if (attack == "natural") "without attack" else paste("under", if (is.na(label)) attack else label)
  new_confusion(predictions$truth, predictions$.pred_class, paste0(title_of(object), ", ", words))
}

#' @rdname confusion
#' @export
confusion.sense_fit <- function(object, newdata, y, ...) {
  predicted <- stats::predict(object, newdata, type = "class", ...)
  y <- known_classes(if (!missing(y)) y, levels(predicted), length(predicted), "y", what = kind_of_inputs(object))
  new_confusion(y, predicted, paste0(title_of_fit(object), ", without attack"))
}

# From two factors with the same levels.
new_confusion <- function(truth, prediction, title) {
  structure(
    list(table = table(truth = truth, prediction = prediction), title = title),
    class = "sense_confusion"
  )
}

#' @rdname confusion
#' @export
print.sense_confusion <- function(x, ...) {
  n <- sum(x$table)
  right <- sum(diag(x$table))
  cat(sprintf("<sense_confusion> %s: %s\n", x$title, format_interval(wilson_interval(right, n))))
  if (nrow(x$table) <= 15) {
    print(x$table)
  } else {
    wrong <- as.data.frame(x)
    wrong <- wrong[wrong$truth != wrong$prediction & wrong$n > 0, ]
    wrong <- utils::head(wrong[order(-wrong$n), ], 10)
    cat(sprintf("%d classes. The most frequent errors:\n", nrow(x$table)))
    if (nrow(wrong)) print_cells(wrong)
  }
  invisible(x)
}

#' @rdname confusion
#' @export
as.data.frame.sense_confusion <- function(x, row.names = NULL, optional = FALSE, ...) {
  as.data.frame(x$table, responseName = "n")
}

#' @rdname confusion
#' @export
autoplot.sense_confusion <- function(object, ...) {
  shown <- as.data.frame(object)
  of <- as.vector(rowSums(object$table))[as.integer(shown$truth)]
  shown$share <- ifelse(of > 0, shown$n / of, 0)
  few <- nrow(object$table) <= 15
  ggplot2::ggplot(shown, ggplot2::aes(.data$prediction, .data$truth, fill = .data$share)) +
    ggplot2::geom_raster() +
    (if (few) {
      ggplot2::geom_text(
        ggplot2::aes(label = ifelse(.data$n > 0, .data$n, ""), colour = .data$share > 0.65),
        size = 3, show.legend = FALSE
      )
    }) +
    ggplot2::scale_colour_manual(values = c(`FALSE` = "black", `TRUE` = "white")) +
    ggplot2::scale_fill_gradient(
      low = "white", high = series_colours[1], limits = c(0, 1), labels = percent_label,
      name = "share of the true class"
    ) +
    ggplot2::scale_y_discrete(limits = rev) +
    ggplot2::coord_equal(expand = FALSE) +
    ggplot2::labs(
      x = "predicted class", y = "true class",
      title = paste(strwrap(object$title, 70), collapse = "\n")
    ) +
    wrapped_caption(sprintf("%d images.%s", sum(shown$n), if (few) " Numbers are images." else "")) +
    sense_theme() +
    ggplot2::theme(legend.key.width = ggplot2::unit(28, "pt"))
}
