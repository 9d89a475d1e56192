skip_if_no_report <- function() {
  if (!requireNamespace("rmarkdown", quietly = TRUE) || !rmarkdown::pandoc_available("2.0")) {
    testthat::skip("needs rmarkdown and pandoc")
  }
}

# The words of a page, without tags and data.
words_of <- function(path) {
  page <- paste(readLines(path, warn = FALSE), collapse = " ")
  page <- gsub("<(script|style)[^>]*>.*?</\\1>", "", page, perl = TRUE)
  gsub("\\s+", " ", gsub("<[^>]*>", " ", page))
}

pictures_in <- function(path) {
  page <- paste(readLines(path, warn = FALSE), collapse = " ")
  lengths(regmatches(page, gregexpr("src=\"data:image/png;base64,", page)))
}

# What the page would load: sources, style sheets and addresses within styles.
loaded_by <- function(path) {
  page <- paste(readLines(path, warn = FALSE), collapse = " ")
  found <- unlist(regmatches(page, gregexpr("(src|href)=\"[^\"]*\"|url\\([^)]*\\)|@import", page)))
  found[!grepl("^(src|href)=\"(data:|#)|^url\\([\"']?data:", found)]
}

test_that("the report of one evaluation is one page with its tables and pictures", {
  skip_if_no_report()
  folder <- add_curves(evaluation_folder(
    list(natural = c(1, 1, 1, 1), pgd = c(1, 0, 1, 0), square = c(1, 1, 0, 0)),
    diagnostics = toy_diagnostics(), name = "a_run*", cascade = TRUE
  ))
  before <- list.files(folder, all.files = TRUE)
  out <- sense_report(folder)
  expect_equal(out, file.path(normalizePath(folder), "report.html"))
  expect_setequal(list.files(folder, all.files = TRUE), c(before, "report.html"))
  expect_length(loaded_by(out), 0)
  said <- words_of(out)
  expect_match(said, "SENSE-AT \\(c = 0.7\\)")
  expect_match(said, "50.0 % \\[15.0, 85.0\\] \\(2 / 4\\)")
  expect_match(said, "3 checks: 1 warned, 1 passed, 1 skipped")
  expect_match(said, "At eps = 1 PGD leaves 25 % right")
  expect_match(said, "steps = 10, eps = 0.3")
  expect_match(said, "all above it \\(cascade\\)")
  expect_false(grepl("in pairs", said))
  expect_equal(pictures_in(out), 4)
})

test_that("a report of several runs compares them in pairs", {
  skip_if_no_report()
  runs <- system.file("extdata", "mnist-demo", package = "sense")
  out <- tempfile(fileext = ".html")
  sense_report(file.path(runs, c("r-at", "sense")), out)
  said <- words_of(out)
  expect_match(said, "r-at - sense.{0,40}\\+6.8 \\[\\+5.2, \\+8.4\\].{0,40}203 : 68 of 2000")
  expect_match(said, "61.6 % \\[59.4, 63.7\\] \\(1231 / 2000\\)")
  expect_match(said, "10 checks: 1 warned, 9 passed")
  expect_match(said, "PGD overstates robust accuracy by 5.5 points \\[4.5, 6.5\\] of")
  expect_equal(pictures_in(out), 2)
})

test_that("a report of runs that cannot be compared gives the reason", {
  skip_if_no_report()
  out <- tempfile(fileext = ".html")
  folders <- c(
    evaluation_folder(list(natural = c(1, 1), pgd = c(1, 0))),
    evaluation_folder(list(natural = c(1, 1, 1), pgd = c(1, 0, 0)), method = "nt")
  )
  sense_report(folders, out)
  said <- words_of(out)
  expect_match(said, "were not evaluated on the same images")
  expect_match(said, "This evaluation has no diagnostics")
})

test_that("several evaluations need an output file, and a missing folder is an error", {
  skip_if_no_report()
  runs <- system.file("extdata", "mnist-demo", package = "sense")
  expect_error(sense_report(file.path(runs, c("nt", "sense"))), "pass `out`")
  expect_error(sense_report(tempdir()), "no .*evaluation.json")
})

test_that("without rmarkdown, one line says what to install", {
  runs <- system.file("extdata", "mnist-demo", package = "sense")
  said <- fresh_r(c(
    "options(cli.width = 500)",
    "library(sense)",
    "unlockBinding('requireNamespace', baseenv())",
    "assign('requireNamespace', function(package, ...) package != 'rmarkdown', baseenv())",
    sprintf("cat(conditionMessage(tryCatch(sense_report('%s/nt'), error = identity)))", runs)
  ))
  expect_match(said, "needs rmarkdown: run .*install.packages\\(\"rmarkdown\"\\)", all = FALSE)
})

test_that("without pandoc, one line says what to install", {
  skip_if_no_report()
  runs <- system.file("extdata", "mnist-demo", package = "sense")
  said <- fresh_r(
    c(
      "options(cli.width = 500)",
      "library(sense)",
      "rmarkdown::find_pandoc(cache = FALSE, dir = tempdir())",
      sprintf("cat(conditionMessage(tryCatch(sense_report('%s/nt'), error = identity)))", runs)
    ),
    env = c("RSTUDIO_PANDOC=", "PATH=/nowhere", "HOME=/nowhere")
  )
  expect_match(said, "needs pandoc 2.0 or newer", all = FALSE)
})

test_that("a folder that is not there is refused before the page is made", {
  skip_if_no_report()
  run <- system.file("extdata", "mnist-demo", "nt", package = "sense")
  expect_error(sense_report(run, file.path(tempfile(), "x.html")), "no folder.*`out`", class = "sense_file_error")
  evaluation <- read_sense_evaluation(run)
  evaluation$folder <- tempfile()
  expect_error(sense_report(evaluation), "no folder.*`out`", class = "sense_file_error")
})
