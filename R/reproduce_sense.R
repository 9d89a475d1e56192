#' The paper, reproduced: each table and figure by its name
#'
#' Without a name, `reproduce_sense()` lists the experiments. With a name it reads the result that is
#' stored in the package, which needs no Python; or, with `run = TRUE`, it trains and attacks the
#' networks that are missing, as `python -m sense.reproduce` does. `summary()` compares the result row
#' by row with the paper and gives the verdict on each claim, and `autoplot()` draws it beside the
#' numbers of the paper. Figures 2 to 6 are drawn by [figure2()] to [figure6()].
#'
#' With `run = TRUE` networks, results and logs are in the folder `out`. All experiments of a scale
#' share their networks. Ctrl-C stops the work, and the same call resumes it.
#'
#' @section Scales:
#' `"paper"` has the settings of the paper: a GPU, and days. `"cpu"` is the same experiment shortened
#' for two cores: hours. `"smoke"` takes seconds to minutes and only shows that everything works; its
#' numbers mean nothing. What is shortened is in `$shortened`.
#'
#' @param experiment Name of an experiment, such as `"table7"` or `"fig4"`; `NULL` lists all.
#' @param scale `"cpu"`, `"paper"` or `"smoke"`.
#' @param run `TRUE` trains and attacks what is missing in the folder `out`.
#' @param ... For figures 2 to 6: arguments of [figure2()] to [figure6()].
#' @param out Folder of results. Default: that of the package. Required with `run = TRUE`.
#' @param seeds Number of seeds of each training. Default: those of the experiment.
#' @param mnist,cifar10 Folders with these data. Default: they are downloaded into the cache directory.
#' @param workers Number of networks trained at once. Default: one per core, or one per GPU.
#' @param threads Number of CPU threads of each. Default: the cores divided by `workers`.
#' @param quiet `TRUE` prints no progress.
#' @return Without a name: a data frame with a row for each experiment: `name`, `place` in the paper,
#'   `title` and `scales`, those that are stored (`""`: none).
#'
#'   With a name: a [sense_reproduction].
#'
#'   An argument that would have no effect, such as `seeds` without `run = TRUE`, is refused.
#' @examples
#' reproduce_sense()
#' autoplot(reproduce_sense("fig4", n = 1000))
#' \dontrun{
#' reproduce_sense("table7", "smoke", run = TRUE, out = "reproduce")
#' }
#' @family functions to reproduce the paper
#' @export
reproduce_sense <- function(experiment = NULL, scale = "cpu", run = FALSE, ..., out = NULL, seeds = NULL,
                            mnist = NULL, cifar10 = NULL, workers = NULL, threads = NULL,
                            quiet = FALSE) {
  check_string(experiment, allow_null = TRUE)
  unused <- if (!missing(scale)) "scale"
  scale <- check_choice(scale, reproduction_scales)
  check_flag(run)
  check_path(out)
  settings <- list(
    seeds = check_count(seeds, allow_null = TRUE), data_dirs = data_folders(check_path(mnist), check_path(cifar10)),
    workers = check_count(workers, allow_null = TRUE), threads = check_count(threads, allow_null = TRUE),
    on_line = progress_lines(check_flag(quiet))
  )
  of_training <- names(drop_null(list(
    seeds = seeds, mnist = mnist, cifar10 = cifar10, workers = workers, threads = threads
  )))
  unused <- c(unused, if (run) "run", of_training)
  folder <- out %||% stored_reproductions()
  if (is.null(experiment)) {
    check_none_unused(c(unused, if (...length()) "..."), "Without the name of an {.arg experiment} they are listed")
    return(list_reproductions(folder))
  }
  check_choice(experiment, experiments()$name)
  if (drawn_by_r(experiment)) {
    check_none_unused(c(unused, if (!is.null(out)) "out"), "{.val {experiment}} is drawn by R, without training or files")
    return(drawn_figure(experiment, ...))
  }
  if (...length()) {
    abort("Only figures 2 to 6 take further arguments, and {.val {experiment}} is none of them.")
  }
  if (run) {
    check_out(out, experiment, scale)
    run_reproduction(experiment, scale, out, settings)
  } else {
    check_none_unused(of_training, "Without {.code run = TRUE} the stored result is read")
  }
  read_reproduction(folder, experiment, scale)
}

# Arguments that would have no effect are refused.
check_none_unused <- function(unused, why, call = parent.frame()) {
  force(call)
  if (length(unused)) {
    why <- cli::format_inline(why, .envir = call)
    abort("{why}, so {.arg {unused}} must be left out.", call = call)
  }
}

check_out <- function(out, experiment, scale, call = parent.frame()) {
  if (is.null(out)) {
    abort(c(
      "{.arg out} must be the path of a folder: training takes long, and its results are kept there.",
      i = "For example {.code reproduce_sense(\"{experiment}\", \"{scale}\", run = TRUE, out = \"reproduce\")}."
    ), call = call)
  }
}

reproduction_scales <- c("cpu", "paper", "smoke")

# Name, place in the paper and title of each experiment.
experiments <- function() table_of_paper("experiments.csv")

# Figures 2 to 6 need no training.
drawn_by_r <- function(name) grepl("^fig[2-6]$", name)

stored_reproductions <- function() system.file("extdata", "reproduce", package = "sense")

# A row for each result in the folder. Names may have hyphens, scales have none.
stored_results <- function(folder) {
  pattern <- sprintf("^([a-z0-9-]+)-(%s)[.]json$", paste(reproduction_scales, collapse = "|"))
  files <- list.files(folder, pattern)
  data.frame(name = sub(pattern, "\\1", files), scale = sub(pattern, "\\2", files))
}

list_reproductions <- function(folder) {
  table <- experiments()
  stored <- stored_results(folder)
  table$scales <- vapply(table$name, function(name) {
    toString(intersect(reproduction_scales, stored$scale[stored$name == name]))
  }, "")
  table$scales[drawn_by_r(table$name)] <- "drawn by R"
  table
}

drawn_figure <- function(experiment, ...) {
  draw <- get(sub("fig", "figure", experiment), envir = topenv(), mode = "function")
  check_arguments_of(draw, sub("fig", "figure", experiment), list(...), parent.frame())
  described <- experiments()[experiments()$name == experiment, ]
  structure(
    list(name = experiment, place = described$place, title = described$title, figure = draw(...)),
    class = "sense_reproduction"
  )
}

check_arguments_of <- function(draw, name, given, call) {
  matched <- tryCatch(match.call(draw, as.call(c(list(quote(draw)), given))), error = function(e) NULL)
  if (is.null(matched)) {
    unknown <- setdiff(names(given), c("", names(formals(draw))))
    abort(
      c("{.fn {name}} has the arguments {.arg {names(formals(draw))}}.",
        x = if (length(unknown)) "You gave {.arg {unknown}}." else "You gave {length(given)} argument{?s} that do not match them."),
      call = call
    )
  }
}

# Train, attack and write the tables: the part that needs Python.
run_reproduction <- function(name, scale, out, settings, call = parent.frame()) {
  done <- call_python(
    "reproduce", drop_null(c(list(name = name, scale = scale, out = path.expand(out)), settings)), call
  )
  if (done$stopped) stopped_sweep(call)
  failed_cells(unlist(done$failed), file.path(out, scale, "logs"), call)
}
