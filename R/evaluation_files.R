# Reading the files of an evaluation, which docs/evaluation.md of the sources describes.

read_evaluation_json <- function(folder, call = parent.frame()) {
  check_folder(folder, call = call)
  if (!run_has(folder, "evaluation.json")) not_evaluated(folder, "evaluation.json", call)
  evaluation <- read_run_json(folder, "evaluation.json", call = call)
  if (isFALSE(evaluation$finished)) {
    abort_file(
      "The evaluation in {.file {folder}} is not finished: run its command again to resume it, {.code {evaluation$provenance$command}}.",
      call = call
    )
  }
  evaluation
}

not_evaluated <- function(folder, name, call) {
  abort_file(
    "{.file {folder}} has no {.file {name}}: evaluate it first, with {.code evaluate_sense(\"{folder}\")} or {.code python -m sense.evaluate {folder}}.",
    call = call
  )
}

read_outcomes <- function(folder, call = parent.frame()) {
  outcomes <- read_run_csv(folder, "outcomes.csv", c("image", "label", "prediction", "correct"), call)
  if (is.null(outcomes)) not_evaluated(folder, "outcomes.csv", call)
  check_outcomes(outcomes, file.path(folder, "outcomes.csv"), call)
  outcomes
}

# Every attack must have the same images in the same order, or counts over attacks mean nothing.
check_outcomes <- function(outcomes, path, call) {
  columns <- c("image", "label", "attack", "prediction", "correct")
  if (!all(columns %in% names(outcomes)) || !nrow(outcomes)) {
    abort_file("{.file {path}} must have rows, and the columns {.val {columns}}.", call = call)
  }
  parts <- split(outcomes[c("image", "label")], factor(outcomes$attack, unique(outcomes$attack)))
  same <- vapply(parts, function(part) {
    identical(part$image, parts[[1]]$image) && identical(part$label, parts[[1]]$label)
  }, logical(1))
  if (!all(same) || anyDuplicated(parts[[1]]$image)) {
    odd <- names(parts)[!same]
    abort_file(
      "{.file {path}} is damaged: {.val {c(odd, names(parts)[1])[1]}} has other images than the other attacks, or an image twice. Evaluate the network again.",
      call = call
    )
  }
  wrong <- which(outcomes$correct != (outcomes$prediction == outcomes$label))
  if (length(wrong)) {
    abort_file(
      "{.file {path}} is damaged: row {wrong[1]} has correct = {outcomes$correct[wrong[1]]} for prediction {outcomes$prediction[wrong[1]]} and label {outcomes$label[wrong[1]]}. Evaluate the network again.",
      call = call
    )
  }
}

# An evaluation in the folder of a run, or in a numbered one inside it, must be of the weights that the
# run has now: it may have been trained further. Evaluations of older versions have no checksum of the
# file of weights, and are taken as they are.
check_present_weights <- function(folder, evaluation, call) {
  stored <- evaluation$target$weights_file_sha256
  folder <- normalizePath(folder)
  places <- c(folder, if (grepl("^evaluation-[1-9][0-9]*$", basename(folder))) dirname(folder))
  runs <- Filter(function(place) run_has(place, "config.json") && run_has(place, "model.safetensors"), places)
  if (is.null(stored) || !length(runs)) {
    return(invisible())
  }
  entry <- read_manifest(runs[1], file.path(runs[1], "model.safetensors"), call)[["model.safetensors"]]
  if (is.null(entry[["next"]]) && !identical(entry$sha256, stored)) {
    abort_file(
      c(
        "The evaluation in {.file {folder}} is of other weights than {.file {runs[1]}} has now, such as those before it was trained further.",
        i = "Evaluate again: {.code python -m sense.evaluate {runs[1]} --overwrite}, or {.code evaluate_sense()} with {.code overwrite = TRUE}."
      ),
      call = call
    )
  }
}

# The counts of evaluation.json must be those of outcomes.csv.
check_stored_counts <- function(folder, accuracy, stored, call) {
  for (name in intersect(accuracy$attack, names(stored))) {
    here <- accuracy[accuracy$attack == name, ]
    if (here$k != stored[[name]]$k || here$n != stored[[name]]$n) {
      abort_file(
        "{.file {folder}} is damaged: under {.val {name}} outcomes.csv has {here$k} of {here$n} images correct, evaluation.json {stored[[name]]$k} of {stored[[name]]$n}. Evaluate the network again.",
        call = call
      )
    }
  }
}

# A row for each diagnostic check of an evaluation.json; NULL if it has none. In older files the field
# is `judgement`, and a skipped check is "not judged".
diagnostics_table <- function(evaluation) {
  checks <- (evaluation$diagnostics %||% evaluation$judgement)$checks
  if (is.null(checks)) {
    return(NULL)
  }
  column <- function(name, empty) vapply(checks, function(check) check[[name]] %||% empty, empty)
  data.frame(
    check = column("check", ""), verdict = sub("not judged", "skipped", column("verdict", "")),
    value = numbers(checks, "value"), threshold = numbers(checks, "threshold"),
    text = translate_message(column("text", ""))
  )
}

numbers <- function(rows, name) {
  vapply(rows, function(row) as.numeric(row[[name]] %||% NA), numeric(1))
}

strings <- function(rows, name) {
  vapply(rows, function(row) as.character(row[[name]] %||% NA), "")
}

# The network that was evaluated, with the options of its training if they are known.
read_target <- function(folder, evaluation, call = parent.frame()) {
  target <- evaluation$target %||% list()
  if (run_has(folder, "config.json")) {
    description <- read_run_json(folder, "config.json", simplify = TRUE, call = call)
    target$config <- target$config %||% description$config
    target$runtime_options <- target$runtime_options %||% description$runtime_options
    target$data <- description$data
  } else {
    check_absent(folder, "config.json", call)
  }
  target$method <- if (is.null(target$config)) target$name else method_name(target$config)
  target$model <- target$model %||% target$config$model
  target
}

# Whether each image is classified correctly under each attack: a row per image, a column per attack.
correct_matrix <- function(outcomes) {
  attacks <- unique(outcomes$attack)
  matrix(
    outcomes$correct == 1,
    ncol = length(attacks), dimnames = list(outcomes$image[outcomes$attack == attacks[1]], attacks)
  )
}

# The attacks in the ball of the evaluation. The worst case is taken over them.
within_ball <- function(attacks, options) {
  inside <- vapply(attacks, function(attack) {
    isTRUE(all.equal(attack$eps, options$eps)) && identical(attack$norm, options$norm)
  }, logical(1))
  names(attacks)[inside]
}

# The matrix with a column for the worst case, if there are at least two attacks in the ball. Attacks
# on some of the images only (the steps of PGD) count for the worst case, but have no column.
with_worst_case <- function(correct, attacks, options) {
  inside <- within_ball(attacks, options)
  part <- names(attacks)[vapply(attacks, function(attack) !is.null(attack$images), logical(1))]
  shown <- correct[, setdiff(colnames(correct), part), drop = FALSE]
  if (length(inside) < 2) {
    return(shown)
  }
  cbind(shown, worst = apply(correct[, c("natural", inside), drop = FALSE], 1, all))
}
