#' Many trainings and evaluations
#'
#' Trains and evaluates a network for each row of a grid, several at once, each in a run folder of its
#' own, as `python -m sense.sweep` does on one machine. What is done is skipped, what was begun is
#' resumed, and what failed is tried again. So the same call continues a sweep that was interrupted
#' (Ctrl-C: each run saves its checkpoint), and a larger grid adds to it.
#'
#' Rows that train the same network, such as SENSE-AT's `c` for a method that does not use it, are one
#' run. Its folder is named by its options. The log of each run is in the folder `logs`. A run that fails
#' does not stop the others. For Slurm and Ray use `python -m sense.sweep`.
#'
#' @param grid A data frame with a row for each training and a column for each option of [train_sense()],
#'   such as `method`, `c`, `model` and `seed`, and optionally `recipe`. `NA`: the value of the recipe. Or a list
#'   of vectors, of which all combinations are trained, as by [expand.grid()]. Options that do not change
#'   the result, such as `data_dir` and `device`, and those that no method of the grid uses, are refused as
#'   columns.
#' @param out The folder of the sweep.
#' @param ... Options of all trainings, by name, as in [train_sense()].
#' @param recipe The recipe of all trainings, as in [train_sense()].
#' @param evaluation A list of options of [evaluate_sense()], such as `list(attacks = "pgd", n = 500)`,
#'   or `NULL`: networks are trained, and not attacked.
#' @param mnist,cifar10 Folders with these data. Default: they are downloaded into the cache directory.
#' @param workers Number of networks at once. Default: one per core, or one per GPU.
#' @param threads Number of CPU threads of each. Default: the cores divided by `workers`.
#' @param retries How often a training or an evaluation that crashed is started again.
#' @param quiet `TRUE` prints no progress.
#' @return A list of class `sense_sweep`: `cells`, a data frame with the rows of the grid (`NA` where the
#'   method does not use an option) and for each the `name` of its run, its `state` (`"trained"`, `"evaluated"`, `"failed"` ...), why it failed
#'   (`failure`), and the folder of its evaluation (`evaluated`); and `out`, the folder of the sweep.
#'
#'   `accuracies()` of it returns one table of all evaluated runs, with the columns of the grid.
#'   `as.data.frame()` is the same as a plain data frame, `tidy()` with broom's names.
#' @seealso [accuracies()], [compare_sense()], [read_sense_fit()]
#' @examples
#' \dontrun{
#' # c is not an option of "r-at", so there are nine runs.
#' sweep <- sweep_sense(
#'   list(method = c("r-at", "sense"), c = c(0.5, 0.7), seed = 1:3), "runs",
#'   recipe = "mnist-demo", evaluation = list(attacks = c("pgd", "autoattack"), n = 500)
#' )
#' sweep
#' accuracies(sweep)
#' autoplot(sweep)
#' }
#' @family functions to train
#' @export
sweep_sense <- function(grid, out, ..., recipe = NULL, evaluation = NULL, mnist = NULL, cifar10 = NULL,
                        workers = NULL, threads = NULL, retries = 1, quiet = FALSE) {
  grid <- as_sweep_grid(grid)
  if (missing(out)) abort("{.arg out} must be the path of a folder, where the runs are kept.")
  check_string(out, expected = "the path of a folder, a single string")
  common <- as_options(named_dots(...))
  check_string(recipe, allow_null = TRUE)
  evaluation <- sweep_evaluation(evaluation)
  settings <- list(
    retries = check_count(retries, min = 0),
    workers = check_count(workers, allow_null = TRUE), threads = check_count(threads, allow_null = TRUE),
    data_dirs = data_folders(check_path(mnist), check_path(cifar10)), on_line = progress_lines(check_flag(quiet))
  )
  cells <- sweep_cells(grid, common, recipe, evaluation)
  columns <- as.list(setdiff(names(grid), "recipe"))
  done <- call_python("sweep", drop_null(c(list(cells = cells, out = path.expand(out), columns = columns), settings)))
  if (done$stopped) stopped_sweep()
  sweep <- new_sweep(grid, done$cells, out)
  failed <- sweep$cells[sweep$cells$state == "failed", ]
  failed_cells(stats::setNames(failed$failure, failed$name), file.path(out, "logs"))
  sweep
}

# A data frame with a row for each training; factors as strings.
as_sweep_grid <- function(grid, call = parent.frame()) {
  if (!is.list(grid) || !length(grid) || !all_named(grid) || anyDuplicated(names(grid))) {
    refuse(
      grid, "grid", "a data frame with a row for each training, or a list of vectors named by options",
      cli::format_inline("For example {.code list(method = c(\"r-at\", \"sense\"), seed = 1:3)}."), call
    )
  }
  for (option in names(grid)) {
    values <- grid[[option]]
    vector <- (is.atomic(values) || inherits(values, c("list", "AsIs"))) && is.null(dim(values))
    if (!vector || !length(values)) {
      refuse(values, sprintf("grid$%s", option), "a vector of one or more values", call = call)
    }
  }
  if (!is.data.frame(grid)) grid <- expand.grid(grid, KEEP.OUT.ATTRS = FALSE, stringsAsFactors = FALSE)
  grid[] <- lapply(grid, function(column) if (is.factor(column)) as.character(column) else column)
  grid
}

# Recipe, options and evaluation of each row, for Python. NA: not given.
sweep_cells <- function(grid, common, recipe, evaluation, call = parent.frame()) {
  twice <- intersect(names(grid), c(names(common), if (!is.null(recipe)) "recipe"))
  if (length(twice)) {
    abort("{.field {twice[1]}} is both a column of {.arg grid} and an argument: leave out one.", call = call)
  }
  lapply(seq_len(nrow(grid)), function(i) {
    row <- lapply(grid, function(column) column[[i]])
    row <- row[!vapply(row, function(value) length(value) == 1 && is.na(value), TRUE)]
    options <- utils::modifyList(common, as_options(row[setdiff(names(row), "recipe")], call))
    drop_null(list(
      recipe = row$recipe %||% recipe, options = options, evaluations = if (!is.null(evaluation)) list(evaluation)
    ))
  })
}

sweep_evaluation <- function(evaluation, call = parent.frame()) {
  if (is.null(evaluation)) {
    return(NULL)
  }
  if (!is.list(evaluation) || is.object(evaluation) || (length(evaluation) && !all_named(evaluation))) {
    refuse(
      evaluation, "evaluation", "a named list of options of `evaluate_sense()`, or NULL",
      cli::format_inline("For example {.code list(attacks = \"pgd\", n = 500)}."), call
    )
  }
  do.call(evaluation_options, c(evaluation, list(call = call)))
}

new_sweep <- function(grid, cells, out) {
  for (option in setdiff(names(grid), "recipe")) {
    used <- vapply(cells, function(cell) option %in% unlist(cell$used), TRUE)
    grid[[option]][!used] <- NA
  }
  structure(
    list(
      cells = cbind(
        grid, name = strings(cells, "name"), state = strings(cells, "state"),
        failure = strings(cells, "failure"), evaluated = strings(cells, "evaluated")
      ),
      out = normalizePath(out)
    ),
    class = "sense_sweep"
  )
}

# The folders of data by data set.
data_folders <- function(mnist, cifar10) {
  lapply(drop_null(list(mnist = mnist, cifar10 = cifar10)), path.expand)
}

stopped_sweep <- function(call = parent.frame()) {
  abort(
    c(
      "The work was stopped before its end. Each run has saved its checkpoint.",
      i = "To resume it, repeat the same call."
    ),
    call = call, class = "sense_stopped"
  )
}

# A warning that names the runs that failed, with their reasons.
failed_cells <- function(failures, logs, call = parent.frame()) {
  failures <- failures[!duplicated(names(failures))]
  if (!length(failures)) {
    return(invisible())
  }
  lines <- sprintf("%s: %s", names(failures), failures)
  bullets <- stats::setNames(sprintf("{lines[%d]}", seq_along(lines)), rep("x", length(lines)))
  cli::cli_warn(
    c("{length(lines)} run{?s} failed. The logs are in {.file {logs}}.", bullets),
    call = call, class = "sense_failed_runs"
  )
}

#' @rdname sweep_sense
#' @param x A `sense_sweep`.
#' @export
print.sense_sweep <- function(x, ...) {
  runs <- x$cells[!duplicated(x$cells$name), ]
  counts <- table(runs$state)
  cat(sprintf(
    "<sense_sweep> %d run%s in %s: %s\n", nrow(runs), if (nrow(runs) == 1) "" else "s", x$out,
    toString(paste(counts, names(counts)))
  ))
  if (any(!is.na(runs$evaluated))) {
    print(accuracies(x))
  } else {
    print_cells(runs[setdiff(names(runs), c("failure", "evaluated"))])
  }
  invisible(x)
}

# The accuracies of a sweep, with the columns of its grid.
sweep_accuracies <- function(sweep, level, call = parent.frame()) {
  runs <- sweep$cells[!duplicated(sweep$cells$name) & !is.na(sweep$cells$evaluated), ]
  if (!nrow(runs)) {
    abort("No run of this sweep was evaluated: repeat {.code sweep_sense()} with {.arg evaluation}.", call = call)
  }
  table <- evaluated_rows(stats::setNames(as.list(runs$evaluated), runs$name), level, call)
  options <- setdiff(names(sweep$cells), c("name", "state", "failure", "evaluated", names(table)))
  cbind(table, runs[match(table$run, runs$name), options, drop = FALSE])
}

#' @rdname sweep_sense
#' @param row.names,optional,level As in [as.data.frame()] and [accuracies()].
#' @export
as.data.frame.sense_sweep <- function(x, row.names = NULL, optional = FALSE, ..., level = 0.95) {
  table <- accuracies(x, level)
  attr(table, "level") <- NULL
  class(table) <- "data.frame"
  table
}

#' @rdname sweep_sense
#' @exportS3Method generics::tidy
tidy.sense_sweep <- function(x, ...) {
  table <- as.data.frame(x)
  intervals <- c("k", "n", "estimate", "lower", "upper")
  data.frame(table[setdiff(names(table), intervals)], broom_interval(table), row.names = NULL)
}

#' @rdname sweep_sense
#' @param object A `sense_sweep`.
#' @export
autoplot.sense_sweep <- function(object, ...) autoplot.sense_accuracies(accuracies(object), ...)

#' @rdname sweep_sense
#' @export
plot.sense_sweep <- function(x, ...) plot_object(x, ...)
