test_that("R and Python have one list of requirements", {
  needed <- sense:::python_requirements()
  expect_true(any(grepl("^torch", needed)))
  expect_equal("numpy<2" %in% needed, utils::packageVersion("reticulate") < "1.38")
})

test_that("without Python one line says what to do, and the rest works", {
  said <- fresh_r(
    c(
      "library(sense)",
      "options(cli.width = 500)",
      "cat(sense_available(), '\\n')",
      "cat(conditionMessage(tryCatch(train_sense(), error = identity)), '\\n')",
      "cat(round(wilson_interval(9, 10)$lower, 3), '\\n')"
    ),
    env = "RETICULATE_PYTHON=/no/python"
  )
  expect_match(said[1], "FALSE")
  expect_match(said[2], "run `sense::install_sense\\(\\)` and restart R")
  expect_match(said[3], "RETICULATE_PYTHON is set, to .*/no/python")
  expect_equal(trimws(said[4]), "0.596")
})

test_that("loading the package does not start Python", {
  said <- fresh_r(c("library(sense)", "cat(reticulate::py_available())"))
  expect_equal(said, "FALSE")
})

# A library with a package 'reticulate' of which only the interface exists: it notes what is declared.
stub_reticulate <- function() {
  source <- file.path(tempfile("stub-"), "reticulate")
  dir.create(file.path(source, "R"), recursive = TRUE)
  writeLines(c("Package: reticulate", "Version: 1.41", "Title: Stub", "License: MIT"), file.path(source, "DESCRIPTION"))
  writeLines("export(py_require, py_available, virtualenv_exists, py_config)", file.path(source, "NAMESPACE"))
  writeLines(
    c(
      "noted <- new.env()",
      "py_require <- function(packages = NULL, python_version = NULL) {",
      "  if (is.null(packages)) return(as.list(noted))",
      "  noted$packages <- packages; noted$python_version <- python_version",
      "}",
      "py_available <- function(initialize = FALSE) { if (initialize) stop('no network'); FALSE }",
      "virtualenv_exists <- function(envname) FALSE", "py_config <- function() NULL"
    ),
    file.path(source, "R", "stub.R")
  )
  library <- tempfile("library-")
  dir.create(library)
  utils::install.packages(source, library, repos = NULL, type = "source", quiet = TRUE)
  library
}

test_that("from reticulate 1.41 on the requirements are declared when the package is loaded", {
  new <- !sense:::reticulate_installs()
  libraries <- paste(c(if (new) stub_reticulate(), .libPaths()), collapse = .Platform$path.sep)
  env <- c(paste0("R_LIBS=", libraries), "RETICULATE_PYTHON=")
  said <- fresh_r(
    c(
      "library(sense)", "declared <- reticulate::py_require()",
      "cat(setdiff(sense:::python_requirements(), declared$packages), '.\n')", "cat(declared$python_version, '\n')",
      "cat(reticulate::py_available(), '\n')",
      "Sys.setenv('_R_CHECK_PACKAGE_NAME_' = 'sense'); Sys.unsetenv('NOT_CRAN')",
      "cat(conditionMessage(tryCatch(train_sense(), error = identity)))"
    ),
    env = env
  )
  expect_equal(trimws(said[1:3]), c(".", ">=3.10", "FALSE"))
  expect_match(paste(said, collapse = " "), "R CMD check, where reticulate would install it")
})

test_that("older versions of reticulate declare nothing", {
  skip_if(sense:::reticulate_installs())
  expect_null(sense:::declare_requirements())
})

test_that("install_sense() refuses a constraints file that is not there", {
  expect_error(install_sense(constraints = "no-such-file"), "constraints.*there is no")
})

# Run R code in which the Python task `predict` runs the given Python code.
with_task <- function(code, then) {
  fresh_r(c(
    "library(sense)", "bridge <- sense:::sense_bridge()",
    sprintf("reticulate::py_run_string(\"import sense.bridge, time\\nfrom sense.errors import *\\ndef predict(**a):\\n    %s\\nsense.bridge.predict = predict\")", code),
    "options(cli.width = 500)", then
  ))
}

test_that("an error of the input is one line, a fault has its traceback", {
  skip_if_no_sense()
  tell <- "e <- tryCatch(sense:::call_python('predict', list(a = 1)), error = identity); cat(class(e)[1], conditionMessage(e), sep = '\\n')"
  said <- with_task("raise MissingFileError('pass --data-dir DIR')", tell)
  expect_equal(utils::tail(said, 2), c("sense_python_error", "pass `data_dir = DIR`"))
  for (fault in c("ValueError", "OSError", "ImportError", "RuntimeError", "KeyError")) {
    said <- with_task(sprintf("raise %s('boo')", fault), tell)
    expect_true("sense_python_fault" %in% said, info = fault)
    expect_match(said, "Traceback (most recent call last)", fixed = TRUE, all = FALSE)
    expect_match(said, "in predict", all = FALSE)
  }
})

test_that("an interrupt is not an error", {
  skip_if_no_sense()
  skip_on_os("windows")
  tell <- c(
    "r <- tryCatch(sense:::call_python('predict', list(a = 1)), error = function(e) paste('error', conditionMessage(e)), interrupt = function(i) 'interrupt')",
    "cat(r, '\\n')", "sense:::call_python('predict', list(a = 1))", "cat('went on\\n')"
  )
  said <- with_task("raise KeyboardInterrupt", tell)
  expect_match(said, "^interrupt", all = FALSE)
  expect_false(any(grepl("went on|^error", said)))
  # Outside the task, where the bridge cannot catch it.
  said <- with_task("pass\\nsense.bridge.call = lambda *a: (_ for _ in ()).throw(KeyboardInterrupt())", tell)
  expect_match(said, "^interrupt", all = FALSE)
  expect_false(any(grepl("went on|^error", said)))
  # A signal while Python computes.
  signal <- "import os, signal, threading; threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()"
  said <- with_task(paste0(signal, "; [time.sleep(0.05) for i in range(400)]"), tell[1:2])
  expect_match(said, "^interrupt", all = FALSE)
})

test_that("a forked process of R computes with one thread instead of waiting for ever", {
  skip_if_no_sense()
  skip_on_os("windows")
  said <- fresh_r(c(
    "options(cli.width = 500)", "library(sense)",
    "fit <- read_sense_fit(system.file('extdata', 'mnist-demo', 'sense', package = 'sense'))",
    "x <- array(runif(500 * 28 * 28), c(500, 28, 28)); p <- predict(fit, x)",
    "job <- parallel::mcparallel(predict(fit, x))", "r <- parallel::mccollect(job, wait = FALSE, timeout = 60)",
    "tools::pskill(job$pid, 9)", "cat(identical(r[[1]], p), '\\n')",
    "e <- parallel::mccollect(parallel::mcparallel(tryCatch(evaluate_sense(fit, 'fgsm', threads = 2, out = tempfile()), error = conditionMessage)))[[1]]",
    "cat(e)"
  ), env = "OMP_NUM_THREADS=2")
  expect_match(said, "^TRUE", all = FALSE)
  expect_match(said, "threads must be 1 in a forked process", all = FALSE)
})

test_that("folders with letters of any language work in the locale C too", {
  skip_if_no_sense()
  skip_on_os("windows")
  out <- file.path(tempfile(), "L\u00e4ufe 2")
  dir.create(dirname(out))
  said <- fresh_r(enc2utf8(c(
    "options(cli.width = 500)", "library(sense)", sprintf("out <- '%s'", out),
    "control <- sense_control(out = out, quiet = TRUE, threads = 1)",
    "fit <- train_sense(am ~ hp, mtcars, epochs = 1, pretrain = 0, control = control)",
    "e <- evaluate_sense(fit, 'fgsm', x = mtcars, y = mtcars$am, diagnostics = FALSE, quiet = TRUE)",
    "cat(file.exists(file.path(out, 'outcomes.csv')), Sys.getlocale('LC_CTYPE'))"
  )), env = "LC_ALL=C")
  expect_match(said, "^TRUE C$", all = FALSE)
  expect_true(file.exists(file.path(out, "outcomes.csv")))
})

test_that("a Python that is not there is refused", {
  expect_error(install_sense(python = "/no/python"), "`python` must be the path of a Python")
})
