test_that("one requirements list serves both languages", {
  needed <- sense:::python_requirements()
  expect_true(any(grepl("^torch", needed)))
  expect_equal("numpy<2" %in% needed, utils::packageVersion("reticulate") < "1.38")
})

test_that("without Python, one line says what to do, and all else works", {
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
  expect_match(said[2], "run `sense::install_sense\\(\\)` and start R anew")
  expect_equal(trimws(said[3]), "0.596")
})

test_that("loading the package does not start Python", {
  said <- fresh_r(c("library(sense)", "cat(reticulate::py_available())"))
  expect_equal(said, "FALSE")
})

test_that("install_sense() refuses a constraints file that is not there", {
  expect_error(install_sense(constraints = "no-such-file"), "no file")
})
