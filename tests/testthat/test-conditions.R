caught <- function(code) tryCatch(code, condition = class)

test_that("errors have their classes", {
  expect_contains <- function(x, classes) expect_true(all(classes %in% x))
  expect_contains(caught(wilson_interval(11, 10)), c("sense_argument_error", "sense_error"))
  expect_contains(caught(read_sense_fit(tempdir())), c("sense_file_error", "sense_error"))
  expect_contains(class(sense:::python_fault("ValueError: boo", NULL)), c("sense_python_fault", "sense_error"))
  skip_if_no_sense()
  expect_contains(caught(train_sense(eps = 8)), c("sense_python_error", "sense_error"))
})

test_that("each class is on the help page, and no error is without one", {
  sources <- list.files("../../R", "[.]R$", full.names = TRUE)
  skip_if(!length(sources), "the sources are not there")
  text <- unlist(lapply(sources, readLines))
  used <- unique(unlist(regmatches(text, gregexpr("class = \"sense_\\w+\"|\"sense_\\w+_(error|fault)\"", text))))
  used <- gsub("class = |\"", "", used)
  objects <- c(
    "sense_fit", "sense_evaluation", "sense_comparison", "sense_control", "sense_accuracies", "sense_examples",
    "sense_confusion", "sense_calibration", "sense_reproduction", "sense_sweep"
  )
  page <- readLines("../../R/conditions.R")
  for (class in setdiff(used, objects)) expect_true(any(grepl(sprintf("`%s`", class), page)), info = class)
  own <- !grepl("conditions[.]R$", rep(sources, lengths(lapply(sources, readLines))))
  expect_equal(grep("cli_abort|rlang::abort|[^_]stop\\(\"", text[own], value = TRUE), character())
})
