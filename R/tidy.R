#' Tables of fits, evaluations and comparisons
#'
#' Methods for the generics `tidy()`, `glance()` and `augment()` of package 'generics', which broom and
#' the tidymodels re-export: `library(broom)` or `library(generics)` makes them available. `tidy()` has
#' a row for each estimate, `glance()` one row for each object, and `augment()` a row for each
#' prediction. Columns have broom's names: `estimate`, `conf.low`, `conf.high`, `p.value`; predictions
#' are named as yardstick expects them: `truth`, `.pred_class` and, for each class, `.pred_CLASS`.
#'
#' @param x A [sense_fit], a [sense_evaluation], a [sense_comparison][compare_sense()] or, for
#'   `augment()`, a fit of [fit_linear_at()].
#' @param newdata Images or rows to predict, as in [predict.sense_fit()]. A data frame is returned with
#'   the new columns at its end. Images become a column `image`, their position from 1.
#' @param y The true classes, returned as the factor `truth`. Default: without this column.
#' @param ... Not used; for a fit, further arguments of [predict.sense_fit()].
#' @return A data frame.
#'
#'   `tidy()`: of a fit, a row for each epoch and accuracy (`"natural"` and `"robust"`), with the mean
#'   training `loss`; of an evaluation, a row for each attack; of a comparison, a row for each attack
#'   and pair of networks, with the difference of their accuracies as `estimate`, and the exact
#'   McNemar test as `p.value`, adjusted by Holm's method as `adj.p.value`. Intervals have the level of
#'   the object, those of a fit 95 %.
#'
#'   `glance()`: method, network, data, radius (`eps`; of a fit also `eval_eps`, the radius to evaluate it
#'   with), and the main numbers.
#'
#'   `augment()`: of a fit, the class and the probabilities for each row of `newdata`; of an
#'   evaluation, the predicted class for each image and attack. Evaluations store no probabilities.
#' @examples
#' run <- system.file("extdata", "mnist-demo", "sense", package = "sense")
#' evaluation <- read_sense_evaluation(run)
#' if (requireNamespace("generics", quietly = TRUE)) {
#'   generics::tidy(evaluation)
#'   generics::glance(read_sense_fit(run))
#'   head(generics::augment(evaluation))
#' }
#' @family functions to evaluate
#' @name tidy.sense_fit
#' @aliases glance.sense_fit augment.sense_fit
NULL

#' @rdname tidy.sense_fit
#' @exportS3Method generics::tidy
tidy.sense_fit <- function(x, ...) {
  accuracies <- monitored_accuracies(x$metrics)
  epochs <- match(accuracies$epoch, x$metrics$epoch)
  data.frame(
    epoch = accuracies$epoch, phase = x$metrics$phase[epochs], loss = x$metrics$loss[epochs],
    accuracy = accuracies$accuracy, broom_interval(accuracies)
  )
}

#' @rdname tidy.sense_fit
#' @exportS3Method generics::tidy
tidy.sense_evaluation <- function(x, ...) {
  data.frame(x$accuracy[c("attack", "label")], broom_interval(x$accuracy))
}

#' @rdname tidy.sense_fit
#' @exportS3Method generics::tidy
tidy.sense_comparison <- function(x, ...) {
  pairs <- x$pairs
  data.frame(
    pairs[c("attack", "label", "first", "second", "n", "only_first", "only_second")],
    estimate = pairs$difference, conf.low = pairs$lower, conf.high = pairs$upper,
    p.value = pairs$p, adj.p.value = pairs$p_holm
  )
}

# broom's names of an estimate and its interval.
broom_interval <- function(table) {
  data.frame(
    estimate = table$estimate, conf.low = table$lower, conf.high = table$upper,
    k = as.integer(table$k), n = as.integer(table$n)
  )
}

#' @rdname tidy.sense_fit
#' @exportS3Method generics::glance
glance.sense_fit <- function(x, ...) {
  last <- utils::tail(x$metrics, 1)
  data.frame(
    training_row(x$config), data = x$data$name %||% NA, epochs = nrow(x$metrics), loss = last$loss,
    natural = last$natural_correct / last$monitored, robust = last$robust_correct / last$monitored,
    monitored = last$monitored, seconds = sum(x$metrics$seconds)
  )
}

#' @rdname tidy.sense_fit
#' @exportS3Method generics::glance
glance.sense_evaluation <- function(x, ...) {
  accuracy <- x$accuracy
  lowest <- accuracy[c(which(accuracy$attack == "worst"), which.min(accuracy$estimate))[1], ]
  data.frame(
    method = x$target$method %||% NA, model = x$target$model %||% NA, data = x$data$name %||% NA,
    norm = as.character(x$options$norm), eps = x$options$eps, attacks = length(x$attacks),
    n = x$data$n, natural = accuracy$estimate[accuracy$attack == "natural"],
    lowest = lowest$estimate, lowest_attack = lowest$attack,
    warnings = if (is.null(x$diagnostics)) NA_integer_ else sum(x$diagnostics$verdict == "warning")
  )
}

#' @rdname tidy.sense_fit
#' @exportS3Method generics::glance
glance.sense_comparison <- function(x, ...) {
  data.frame(
    networks = length(x$evaluations), attacks = length(unique(x$pairs$attack)),
    tests = nrow(x$pairs), n = x$pairs$n[1], smallest_adj.p.value = min(x$pairs$p_holm)
  )
}

# The options of a training that name it; NA for what it does not have.
training_row <- function(config) {
  known <- function(name, none) config[[name]] %||% none
  data.frame(
    method = known("method", NA), model = known("model", NA),
    c = if (startsWith(known("method", ""), "sense")) known("c", NA) else NA_real_,
    norm = as.character(known("norm", NA)), eps = known("eps", NA), eval_eps = claimed_eps(config) %||% NA, seed = known("seed", NA)
  )
}

#' @rdname tidy.sense_fit
#' @exportS3Method generics::augment
augment.sense_fit <- function(x, newdata, y = NULL, ...) {
  if (missing(newdata)) {
    abort("Give the images or rows to predict as {.arg newdata}: a fit does not store its data.")
  }
  probabilities <- stats::predict(x, newdata, type = "prob", ...)
  classes <- colnames(probabilities)
  n <- nrow(probabilities)
  with_predictions(
    if (is.data.frame(newdata)) newdata else data.frame(image = seq_len(n)),
    if (!is.null(y)) known_classes(y, classes, n, "y", what = kind_of_inputs(x)),
    most_probable(probabilities), probabilities
  )
}

#' @rdname tidy.sense_fit
#' @exportS3Method generics::augment
augment.sense_evaluation <- function(x, ...) {
  outcomes <- x$outcomes
  classes <- evaluation_classes(x)
  as_class <- function(code) factor(classes[code + 1], classes)
  data.frame(
    image = outcomes$image, attack = outcomes$attack, truth = as_class(outcomes$label),
    .pred_class = as_class(outcomes$prediction), correct = outcomes$correct == 1
  )
}

#' @rdname tidy.sense_fit
#' @exportS3Method generics::augment
augment.linear_at <- function(x, newdata, y = NULL, ...) {
  if (missing(newdata)) {
    abort("Give the points to predict as {.arg newdata}: a fit does not store its data.")
  }
  above <- stats::predict(x, newdata, type = "prob")
  probabilities <- cbind(`-1` = 1 - above, `1` = above)
  with_predictions(
    if (is.data.frame(newdata)) as.data.frame(newdata) else as.data.frame(as_points(newdata, "newdata")),
    if (!is.null(y)) factor(as_labels(y, length(above)), c(-1, 1)),
    factor(stats::predict(x, newdata), c(-1, 1)), probabilities
  )
}

# Columns as yardstick and parsnip name them. Names of classes are kept as they are.
with_predictions <- function(data, truth, class, probabilities) {
  columns <- as.data.frame(probabilities)
  names(columns) <- paste0(".pred_", colnames(probabilities))
  new <- c(list(truth = truth)[!is.null(truth)], list(.pred_class = class), columns)
  cbind(data[setdiff(names(data), names(new))], new)
}

most_probable <- function(probabilities) {
  classes <- colnames(probabilities)
  factor(classes[max.col(probabilities, ties.method = "first")], levels = classes)
}

# The names of the classes of an evaluation; numbers where they are unknown.
evaluation_classes <- function(evaluation) {
  codes <- c(evaluation$outcomes$label, evaluation$outcomes$prediction)
  as.character(evaluation$target$data$classes %||% 0:max(codes))
}
