#' An evaluation of a network
#'
#' The result of [evaluate_sense()] and of `read_sense_evaluation()`: the prediction of the network
#' for each test image, natural and under each attack, the accuracies with their intervals, and
#' checks of the evaluation itself. Plain R data, which [saveRDS()] keeps.
#'
#' Reading needs no Python. The accuracies are counted from the predictions. The intervals are
#' Wilson's and those of Clopper and Pearson. They cover the sampling of test images, but neither
#' the strength of the attacks nor the variation between training runs: accuracy under an attack is
#' an upper bound of robust accuracy. A warning says that the bound may be far too high.
#'
#' @param folder The folder of an evaluation, or of a run that was evaluated.
#' @param level Confidence level of the intervals.
#' @param x,object A `sense_evaluation`.
#' @param row.names,optional,... Not used.
#' @return A `sense_evaluation` is a list of
#'   * `target`: `name`, `method` and `model` of the network and, if known, the `config` of its
#'     training;
#'   * `data`: the `name` of the data set, and the number `n` of images evaluated, out `of` all;
#'   * `options`: `eps`, `norm` and the other options of all attacks;
#'   * `attacks`: the options of each attack;
#'   * `outcomes`: a data frame with a row for each image and attack; `image` and `label` are
#'     counted from 0;
#'   * `accuracy`: a data frame with a row for each attack: `k` correct of `n`, `estimate`, `lower`
#'     and `upper` (Wilson), `exact_lower` and `exact_upper` (Clopper-Pearson). `"natural"` is no
#'     attack. `"worst"` counts the images that are correctly classified under every attack in the
#'     ball of the evaluation, if there are two or more;
#'   * `diagnostics`: a data frame with a row for each check of the evaluation, or
#'     `NULL`: `verdict` (`"ok"`, `"warning"`, `"skipped"`), the measured `value`,
#'     its `threshold`, and a sentence;
#'   * `curve`: accuracy by radius, or `NULL`;
#'   * `convergence`, `convergence_accuracy`: loss and accuracy at each step of PGD, or `NULL`;
#'   * `provenance`, `folder` and the confidence `level`.
#'
#'   `as.data.frame()` returns the accuracies. `summary()` returns an object that also prints all
#'   checks, the options of the attacks and the provenance.
#' @seealso [compare_sense()] compares networks on the same images,
#'   [autoplot.sense_evaluation()] draws the results.
#' @examples
#' runs <- system.file("extdata", "mnist-demo", package = "sense")
#' evaluation <- read_sense_evaluation(file.path(runs, "sense"))
#' evaluation
#' as.data.frame(evaluation)
#' @family functions to evaluate
#' @name sense_evaluation
NULL

#' @rdname sense_evaluation
#' @export
read_sense_evaluation <- function(folder, level = 0.95) {
  check_folder(folder)
  check_level(level)
  as_evaluation(folder, level)
}

as_evaluation <- function(folder, level, call = parent.frame()) {
  tryCatch(build_evaluation(folder, level, call), error = function(e) {
    if (inherits(e, "rlang_error")) stop(e)
    damaged(file.path(folder, "evaluation.json"), paste("its content is not as expected:", first_line(e)), call)
  })
}

build_evaluation <- function(folder, level, call) {
  evaluation <- read_evaluation_json(folder, call)
  check_present_weights(folder, evaluation, call)
  outcomes <- read_outcomes(folder, call)
  target <- read_target(folder, evaluation, call)
  attacks <- evaluation$attacks[setdiff(names(evaluation$attacks), "natural")]
  accuracy <- accuracy_table(outcomes, attacks, evaluation$options, level)
  check_stored_counts(folder, accuracy, evaluation$accuracy, call)
  structure(
    list(
      target = target,
      data = evaluation$data,
      options = evaluation$options,
      attacks = attacks,
      outcomes = outcomes,
      accuracy = accuracy,
      diagnostics = diagnostics_table(evaluation),
      curve = with_intervals(read_run_csv(folder, "curve.csv", c("eps", "k", "n"), call), level),
      convergence = read_run_csv(folder, "convergence.csv", c("image", "step"), call),
      convergence_accuracy = with_intervals(read_run_csv(folder, "convergence_accuracy.csv", c("restart", "step", "k", "n"), call), level),
      provenance = evaluation$provenance,
      folder = normalizePath(folder),
      level = level
    ),
    class = "sense_evaluation"
  )
}

accuracy_table <- function(outcomes, attacks, options, level) {
  correct <- with_worst_case(correct_matrix(outcomes), attacks, options)
  k <- colSums(correct)
  n <- nrow(correct)
  exact <- exact_interval(k, n, level)
  data.frame(
    attack = colnames(correct),
    label = vapply(colnames(correct), attack_label, "", attacks = attacks, options = options),
    wilson_interval(k, n, level),
    exact_lower = exact$lower, exact_upper = exact$upper,
    row.names = NULL
  )
}

# Counts with intervals of the given level.
with_intervals <- function(counts, level) {
  if (is.null(counts)) {
    return(NULL)
  }
  kept <- setdiff(names(counts), c("k", "n", "estimate", "lower", "upper"))
  cbind(counts[kept], wilson_interval(counts$k, counts$n, level))
}

# "PGD-100 x 5", with the ball if it is not that of the evaluation.
attack_label <- function(name, attacks, options) {
  if (name == "natural") {
    return("natural")
  }
  if (name == "worst") {
    return("worst attack per image")
  }
  attack <- attacks[[name]]
  label <- attack$label %||% name
  if (name %in% within_ball(attacks, options)) label else sprintf("%s, %s", label, describe_ball(attack))
}

# "l-infinity eps = 0.3"
describe_ball <- function(options) {
  sprintf(
    "l%s eps = %s", if (options$norm == "inf") "-infinity" else options$norm,
    format_radius(options$eps)
  )
}

# "0.3", "8/255"
format_radius <- function(eps) {
  of_255 <- eps * 255
  bytes <- eps > 0 & abs(of_255 - round(of_255)) < 1e-6 & abs(eps * 100 - round(eps * 100)) > 1e-6
  ifelse(bytes, sprintf("%.0f/255", of_255), sprintf("%g", eps))
}

#' @rdname sense_evaluation
#' @export
print.sense_evaluation <- function(x, ...) {
  print_header(x)
  print_accuracy(x$accuracy, x$level)
  cat("\n")
  if (isTRUE(x$options$cascade)) cat(cascade_words, "\n", sep = "")
  print_warnings(x$diagnostics)
  note <- x$target$training_note
  if (is_string(note)) {
    cat(strwrap(paste0("Note on the training: ", translate_message(note), "."), 78, exdent = 2), sep = "\n")
  }
  invisible(x)
}

cascade_words <- "A row counts the images that are correct under its attack and all above it (cascade)."

print_header <- function(x) {
  cat(sprintf("<sense_evaluation> %s: %s, %s\n", x$target$name %||% basename(x$folder),
              x$target$method, x$target$model))
  cat(sprintf("%s on %s\n\n", describe_ball(x$options), describe_images(x$data)))
}

# "the first 1000 of the 10000 test images of mnist"
describe_images <- function(data) {
  if (is.null(data$of) || data$n == data$of) {
    return(sprintf("all %d test images of %s", data$n, data$name))
  }
  which <- if (is.null(data$draw)) {
    sprintf("the first %d", data$n)
  } else {
    sprintf("%d, drawn with seed %d,", data$n, data$draw)
  }
  sprintf("%s of the %d test images of %s", which, data$of, data$name)
}

print_accuracy <- function(accuracy, level) {
  cells <- data.frame(
    accuracy$label, format_interval(accuracy),
    sprintf("[%.1f, %.1f]", 100 * accuracy$exact_lower, 100 * accuracy$exact_upper)
  )
  names(cells) <- c("attack", sprintf("accuracy, %g %% Wilson (k / n)", 100 * level), "exact")
  print_cells(cells)
}

# Rows of text. print() would break those that are wider than the console.
print_cells <- function(cells) {
  columns <- lapply(names(cells), function(name) format(c(name, as.character(cells[[name]]))))
  cat(sub(" +$", "", do.call(paste, c("", columns, sep = "  "))), sep = "\n")
}

print_warnings <- function(diagnostics) {
  if (is.null(diagnostics)) {
    cat("No diagnostics: this evaluation was not checked.\n")
    return(invisible())
  }
  warned <- diagnostics[diagnostics$verdict == "warning", ]
  skipped <- diagnostics$check[diagnostics$verdict == "skipped"]
  cat(sprintf(
    "Diagnostics: %d of %d checks warn%s\n", nrow(warned), nrow(diagnostics) - length(skipped),
    if (nrow(warned)) ":" else "."
  ))
  for (i in seq_len(nrow(warned))) {
    cat(strwrap(warned$text[i], width = 78, initial = "! ", prefix = "  "), sep = "\n")
  }
  if (length(skipped)) cat(sprintf("Skipped: %s.\n", paste(skipped, collapse = ", ")))
}

#' @rdname sense_evaluation
#' @export
summary.sense_evaluation <- function(object, ...) {
  structure(object, class = "summary.sense_evaluation")
}

#' @export
print.summary.sense_evaluation <- function(x, ...) {
  print_header(x)
  print_accuracy(x$accuracy, x$level)
  cat("\nAttacks\n")
  for (name in names(x$attacks)) {
    cat("  ", format(name, width = 12), option_words(x$attacks[[name]]), "\n")
  }
  cat("\nDiagnostics\n")
  if (is.null(x$diagnostics)) cat("  none\n")
  for (i in seq_len(NROW(x$diagnostics))) {
    row <- x$diagnostics[i, ]
    cat(strwrap(
      sprintf("%s: %s", row$verdict, row$text), width = 78, initial = "  ", prefix = "    "
    ), sep = "\n")
  }
  cat("\nProvenance\n")
  for (name in names(x$provenance)) {
    cat("  ", format(name, width = 8), format(x$provenance[[name]] %||% "unknown"), "\n")
  }
  invisible(x)
}

#' @rdname sense_evaluation
#' @export
as.data.frame.sense_evaluation <- function(x, row.names = NULL, optional = FALSE, ...) {
  x$accuracy
}
