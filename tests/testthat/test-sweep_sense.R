# Two runs of seconds each, computed once.
short_sweep <- local({
  done <- NULL
  function() {
    if (is.null(done)) done <<- sweep_short(tempfile("sweep-"))
    done
  }
})

sweep_short <- function(out, grid = data.frame(method = c("nt", "sense", "nt"), c = c(0.5, 0.5, 0.7)), ...) {
  sweep_sense(
    grid, out, ...,
    recipe = "mnist-demo", model = "capacity-1", train_size = 100, epochs = 1, monitor_size = 16,
    evaluation = list(attacks = "fgsm", n = 20, diagnostics = FALSE), workers = 1, threads = 1, quiet = TRUE
  )
}

test_that("each row of the grid is trained and evaluated, equal ones once", {
  skip_if_no_sense()
  sweep <- short_sweep()
  expect_s3_class(sweep, "sense_sweep")
  expect_equal(sweep$cells$state, rep("evaluated", 3))
  expect_equal(sweep$cells$name[1], sweep$cells$name[3])
  expect_equal(sweep$cells$c, c(NA, 0.5, NA)) # NT has no c
  expect_equal(basename(sweep$cells$evaluated), sweep$cells$name)
  fit <- read_sense_fit(file.path(sweep$out, sweep$cells$name[2]))
  expect_equal(fit$config[c("method", "c", "train_size", "epochs")], list(method = "sense", c = 0.5, train_size = 100L, epochs = 1L))
})

test_that("accuracies() has all runs with the options of the grid", {
  skip_if_no_sense()
  sweep <- short_sweep()
  table <- accuracies(sweep)
  expect_s3_class(table, "sense_accuracies")
  expect_equal(table$method, rep(c("NT", "SENSE-AT (c = 0.5)"), each = 2))
  expect_equal(table$attack, rep(c("natural", "FGSM"), 2))
  expect_equal(table$c, c(NA, NA, 0.5, 0.5))
  expect_equal(table$n, rep(20L, 4))
  one <- accuracies(sweep$cells$evaluated[2])
  expect_equal(table$k[3:4], one$k)
  expect_equal(table$upper[3:4], one$upper)
  expect_equal(attr(accuracies(sweep, level = 0.5), "level"), 0.5)
  expect_identical(class(as.data.frame(sweep)), "data.frame")
  expect_equal(sense:::tidy.sense_sweep(sweep)$conf.low, table$lower)
})

test_that("a sweep is printed and drawn", {
  skip_if_no_sense()
  expect_output(print(short_sweep()), "<sense_sweep> 2 runs in .*: 2 evaluated.*SENSE-AT \\(c = 0.5\\) +FGSM")
  expect_s3_class(autoplot(short_sweep()), "ggplot")
})

test_that("what is done is not done again, and new rows are added", {
  skip_if_no_sense()
  before <- short_sweep()
  files <- file.path(before$out, before$cells$name[1:2], "evaluation.json")
  times <- file.mtime(files)
  # All combinations, of which one is new.
  larger <- sweep_short(before$out, list(method = c("nt", "sense"), c = c(0.5, 0.7)))
  expect_equal(file.mtime(files), times)
  expect_equal(larger$cells$state, rep("evaluated", 4))
  expect_equal(length(unique(larger$cells$name)), 3)
  expect_equal(setdiff(larger$cells$c, NA), c(0.5, 0.7))
})

test_that("runs that fail are named, and the others are finished", {
  skip_if_no_sense()
  out <- tempfile("sweep-")
  # The folder of the first run holds something else.
  foreign <- file.path(out, short_sweep()$cells$name[2])
  dir.create(foreign, recursive = TRUE)
  writeLines("{", file.path(foreign, "config.json"))
  expect_warning(
    sweep <- sweep_short(out, data.frame(method = c("sense", "nt"), c = 0.5)), "1 run failed.*config.json",
    class = "sense_failed_runs"
  )
  expect_equal(sweep$cells$state, c("failed", "evaluated"))
  expect_match(sweep$cells$failure[1], "config.json")
  expect_equal(unique(accuracies(sweep)$method), "NT")
  expect_output(print(sweep), "1 evaluated, 1 failed")
})

test_that("a list is crossed, factors are strings, and NA is the value of the recipe", {
  grid <- sense:::as_sweep_grid(list(method = factor(c("nt", "sense")), seed = 1:2))
  expect_equal(grid, data.frame(method = c("nt", "sense"), seed = c(1L, 1L, 2L, 2L))[c("method", "seed")])
  cells <- sense:::sweep_cells(
    data.frame(method = c("nt", "sense"), c = c(NA, 0.3), recipe = c("mnist", NA)), list(epochs = 2), NULL, NULL
  )
  expect_equal(cells, list(
    list(recipe = "mnist", options = list(epochs = 2, method = "nt")),
    list(options = list(epochs = 2, method = "sense", c = 0.3))
  ))
  milestones <- data.frame(seed = 1:2)
  milestones$milestones <- list(c(0.5, 0.75), NA)
  cells <- sense:::sweep_cells(milestones, list(), "mnist", list(attacks = "pgd"))
  expect_equal(cells[[1]]$options$milestones, list(0.5, 0.75))
  expect_equal(cells[[2]], list(recipe = "mnist", options = list(seed = 2L), evaluations = list(list(attacks = "pgd"))))
})

test_that("bad grids and options are refused before Python is started", {
  expect_snapshot(sweep_sense(1:3, "runs"), error = TRUE)
  expect_snapshot(sweep_sense(list(1, 2), "runs"), error = TRUE)
  expect_snapshot(sweep_sense(data.frame(), "runs"), error = TRUE)
  expect_snapshot(sweep_sense(list(seed = 1:2)), error = TRUE)
  expect_snapshot(sweep_sense(list(seed = 1:2), "runs", seed = 3), error = TRUE)
  expect_snapshot(sweep_sense(list(seed = as.Date("2026-01-01")), "runs"), error = TRUE)
  expect_snapshot(sweep_sense(list(seed = 1), "runs", evaluation = "pgd"), error = TRUE)
  expect_snapshot(sweep_sense(list(seed = 1), "runs", workers = 0), error = TRUE)
})

test_that("a grid has a name and values for each column", {
  expect_snapshot(sweep_sense(list(method = "nt", seed = mean), "runs"), error = TRUE)
  expect_snapshot(sweep_sense(list(method = "nt", seed = integer()), "runs"), error = TRUE)
  refused <- function(grid) expect_error(sweep_sense(grid, "runs"), "grid", class = "sense_argument_error")
  refused(list(method = "nt", seed = NULL))
  refused(list(method = "nt", seed = matrix(1:4, 2)))
  refused(list(method = "nt", seed = data.frame(a = 1)))
  refused(list(method = "nt", seed = 1, seed = 2))
  refused(stats::setNames(list("nt", 1), c("method", NA)))
  refused(stats::setNames(data.frame("nt", 1), c("method", NA)))
  refused(stats::setNames(data.frame("nt", 1), c("method", "")))
})

test_that("columns that change no result are refused, as in a grid in a file", {
  skip_if_no_sense()
  out <- tempfile("sweep-")
  refused <- function(grid, message) {
    expect_error(sweep_sense(grid, out, recipe = "mnist-demo"), message, class = "sense_python_error")
  }
  refused(data.frame(method = "nt", data_dir = c("a", "b")), "data_dir cannot be a column.*for all trainings")
  refused(list(method = "nt", threads = 1:2), "threads cannot be a column")
  refused(list(method = "nt", device = "cpu", seed = 1:2), "device cannot be a column")
  refused(list(method = c("nt", "r-at"), c = c(0.3, 0.5)), "c is a column.*no method there uses it \\(nt, r-at\\)")
  expect_false(dir.exists(out))
})

test_that("Python refuses unknown options and wrong values before anything runs", {
  skip_if_no_sense()
  out <- tempfile("sweep-")
  expect_error(sweep_sense(list(cc = 1), out), "unknown option cc", class = "sense_python_error")
  expect_error(sweep_sense(list(c = c(0.5, 2)), out), "c must be a probability", class = "sense_python_error")
  expect_error(
    sweep_sense(list(seed = 1), out, evaluation = list(attacks = "nonsense")), "nonsense", class = "sense_python_error"
  )
  expect_false(dir.exists(out))
})

test_that("an interrupted sweep stops, and its message says how to resume it", {
  skip_on_cran()
  skip_on_os("windows")
  skip_if_no_sense()
  out <- tempfile("sweep-")
  call <- sprintf(
    "sweep_sense(list(seed = 1), '%s', recipe = 'mnist-demo', model = 'capacity-1', epochs = 60, threads = 1)", out
  )
  process <- background_r(sprintf(
    "library(sense)\ncat('begin\\n')\ntryCatch(%s, sense_stopped = function(e) cat(conditionMessage(e), '\\n'))", call
  ))
  metrics <- function() list.files(out, "metrics.jsonl", recursive = TRUE)
  wait_until(length(metrics()) > 0, 120)
  tools::pskill(process$pid, tools::SIGINT)
  wait_until(any(grepl("repeat the same call", process$output())), 60)
  expect_match(paste(process$output(), collapse = " "), "stopped before its end.*repeat the same call")
  run <- file.path(out, dirname(metrics()))
  expect_lt(nrow(read_sense_fit(run)$metrics), 61)
})
