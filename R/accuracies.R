#' Natural and robust accuracy of evaluated runs
#'
#' Counts the correctly classified test images of each run, without attack and under each attack.
#' Needs no Python.
#'
#' @param folders Folders of evaluated runs, or a list of results of [evaluate_sense()] or
#'   [read_sense_evaluation()]. Their names, if any, name the runs; default: the names of the
#'   folders. Or a result of [sweep_sense()]. Or a data frame of counts, see below.
#' @param level Confidence level of the Wilson intervals.
#'
#' @section Data frames of counts:
#' A data frame has a row for each network and attack, as the table of `python -m sense.sweep --table`, which
#' [utils::read.csv()] reads. It must have the columns `method`, `attack`, and `k` correct of `n` images, and
#' may have `run` (or `cell`), `seed`, `model`, `data` and `attack_label`, a longer name of the attack. Any
#' other column, such as `c` or `lr`, is an option of the training: rows that differ in one are different
#' trainings, of which no mean is taken. Not so the columns `evaluation`, `source`, `accuracy`, `estimate`,
#' `lower`, `upper`, `collapsed`, `stage_c`, `stage_b_gap`, `seconds_training`, `experiment` and `scale`; nor
#' `eps` where it is the radius of the attack, which natural images do not have. Two rows of the same network
#' under the same attack are refused.
#'
#' @param x,object A result of `accuracies()`.
#' @param ... Not used.
#' @return A data frame of class `sense_accuracies` with one row per run and attack. Columns:
#'   `run`, `method`, `seed` of the training (`NA` if unknown), `training` (runs that differ only
#'   in their seed have the same number), `model`, `data`, `attack` (`"natural"`: no attack; with
#'   two or more attacks also the worst attack per image), `k` correct of `n` images,
#'   `estimate`, `lower`, `upper`; of a sweep or a data frame also the options of training.
#'
#'   `autoplot()`: a ggplot of the accuracies and their intervals. If some runs differ only in
#'   their seed, each seed is a point, and the mean over seeds is a line with its value.
#' @seealso [compare_sense()], which tests the differences.
#' @examples
#' runs <- system.file("extdata", "mnist-demo", package = "sense")
#' table <- accuracies(list.dirs(runs, recursive = FALSE))
#' table
#' autoplot(table)
#' @family functions to evaluate
#' @export
accuracies <- function(folders, level = 0.95) {
  check_level(level)
  table <- if (inherits(folders, "sense_sweep")) {
    sweep_accuracies(folders, level)
  } else if (is.data.frame(folders)) {
    counted_rows(folders)
  } else {
    evaluated_rows(folders, level)
  }
  table <- cbind(table, wilson_interval(table$k, table$n, level)[c("estimate", "lower", "upper")])
  table$run <- factor(table$run, unique(table$run))
  structure(table, class = c("sense_accuracies", "data.frame"), level = level)
}

# One row per run and attack, from evaluations.
evaluated_rows <- function(folders, level, call = parent.frame()) {
  evaluations <- as_evaluations(folders, level, call = call)
  trainings <- vapply(evaluations, training_key, "")
  rows <- Map(function(run, one, training) {
    data.frame(
      run = run, method = one$target$method, seed = one$target$config$seed %||% NA,
      training = training, model = one$target$model, data = one$data$name,
      attack = one$accuracy$label, one$accuracy[c("k", "n")]
    )
  }, names(evaluations), evaluations, match(trainings, unique(trainings)))
  do.call(rbind, unname(rows))
}

# Evaluations from folders, from evaluated fits, or as they are, by the names of the runs.
as_evaluations <- function(given, level, arg = "folders", call = parent.frame()) {
  if (inherits(given, c("sense_evaluation", "sense_fit"))) given <- list(given)
  check_evaluations(given, arg, call)
  evaluations <- lapply(given, function(one) {
    if (inherits(one, "sense_evaluation")) {
      at_level(one, level)
    } else {
      as_evaluation(folder_of(one, call), level, call)
    }
  })
  names(evaluations) <- labels_of(evaluations, names(given))
  evaluations
}

check_evaluations <- function(given, arg, call) {
  several <- !is.object(given) && (is.list(given) || is.character(given)) && length(given)
  good <- if (several) vapply(given, function(one) {
    inherits(one, c("sense_evaluation", "sense_fit")) || is_string(one)
  }, TRUE)
  if (!several || !all(good)) {
    bad <- if (several) which(!good)[1]
    abort(
      c("{.arg {arg}} must be the paths of evaluated runs, or results of {.fun evaluate_sense}.",
        x = if (several && is.list(given)) "Number {bad} is {describe(given[[bad]])}." else "You gave {describe(given)}."),
      call = call
    )
  }
}

folder_of <- function(one, call) {
  if (!inherits(one, "sense_fit")) {
    return(one)
  }
  if (is.null(one$folder) || !run_has(one$folder, "evaluation.json")) {
    abort(
      "This fit was not evaluated, or its folder is gone: pass the result of {.code evaluate_sense(fit)}.",
      call = call
    )
  }
  one$folder
}

# The same evaluation with intervals of another level.
at_level <- function(evaluation, level) {
  if (evaluation$level != level) {
    evaluation$accuracy <- accuracy_table(
      evaluation$outcomes, evaluation$attacks, evaluation$options, level
    )
    evaluation$curve <- with_intervals(evaluation$curve, level)
    evaluation$convergence_accuracy <- with_intervals(evaluation$convergence_accuracy, level)
    evaluation$level <- level
  }
  evaluation
}

# The given names; default: the names of the folders, with the folder above where that tells them
# apart.
labels_of <- function(evaluations, given) {
  folders <- vapply(evaluations, function(one) one$folder, "")
  labels <- if (is.null(given)) rep("", length(evaluations)) else given
  unnamed <- !nzchar(labels)
  labels[unnamed] <- vapply(evaluations[unnamed], name_of, "")
  twice <- labels %in% labels[duplicated(labels)] & unnamed
  labels[twice] <- file.path(basename(dirname(folders)), basename(folders))[twice]
  make.unique(labels, sep = " ")
}

# The name of the run's folder, also where the evaluation is elsewhere; the method where train_sense()
# made a temporary folder.
name_of <- function(evaluation) {
  folder <- basename(evaluation$folder)
  name <- if (run_has(evaluation$folder, "config.json")) folder else evaluation$target$name %||% folder
  if (grepl("^sense-run-[0-9a-f]+$", name)) evaluation$target$method else name
}

method_names <- c(
  nt = "NT", "r-at" = "R-AT", sense = "SENSE-AT", "sense-trades" = "SENSE-TRADES",
  trades = "TRADES", mart = "MART", mma = "MMA", iaat = "IAAT",
  "fgsm-rs" = "FGSM-RS", "n-fgsm" = "N-FGSM", free = "Free"
)

attack_names <- c(pgd = "PGD", autoattack = "AutoAttack", worst = "worst attack per image")

# The names of what is known by a code; anything else as it is.
named <- function(codes, names) {
  codes <- as.character(codes)
  unname(ifelse(codes %in% names(names), names[codes], codes))
}

# "SENSE-AT (c = 0.7)"
method_name <- function(config) {
  if (!config$method %in% names(method_names)) {
    return(config$method)
  }
  name <- method_names[[config$method]]
  if (startsWith(config$method, "sense")) sprintf("%s (c = %g)", name, config$c) else name
}

#' @rdname accuracies
#' @export
print.sense_accuracies <- function(x, ...) {
  one_model <- length(unique(x$model)) == 1
  if (one_model && !is.na(x$model[1])) {
    cat(sprintf("%s on %s\n", x$model[1], paste(unique(x$data), collapse = ", ")))
  }
  seeds <- has_seeds(x)
  cells <- data.frame(
    run = if (seeds) printed_labels(x) else run_labels(x$run, x$method), seed = x$seed, model = x$model,
    attack = x$attack, accuracy = format_interval(x)
  )
  names(cells)[5] <- sprintf("accuracy, %g %% interval (k / n)", 100 * (attr(x, "level") %||% 0.95))
  print_cells(cells[c(TRUE, seeds, !one_model, TRUE, TRUE)])
  invisible(x)
}
