mixed <- function(...) {
  evaluation_folder(
    list(
      natural = c(1, 1, 1, 1, 0), pgd = c(1, 0, 1, 0, 0), square = c(1, 1, 0, 0, 0),
      "deepfool-l2" = c(0, 0, 0, 1, 0)
    ),
    attacks = list("deepfool-l2" = list(label = "DeepFool (l2)", eps = 2, norm = "2")), ...
  )
}

test_that("accuracies are counted from the outcomes, the worst case within the ball only", {
  evaluation <- read_sense_evaluation(mixed())
  table <- as.data.frame(evaluation)
  expect_equal(table$attack, c("natural", "pgd", "square", "deepfool-l2", "worst"))
  expect_equal(table$k, c(4, 2, 2, 1, 1))
  expect_equal(table$n, rep(5, 5))
  expect_equal(table$label[4], "DeepFool (l2), l2 eps = 2")
  expect_equal(table$lower, wilson_interval(table$k, 5)$lower)
  expect_equal(table$exact_upper, exact_interval(table$k, 5)$upper)
  expect_equal(read_sense_evaluation(mixed(), level = 0.5)$accuracy$upper, wilson_interval(table$k, 5, 0.5)$upper)
})

test_that("a single attack has no worst case beside it", {
  folder <- evaluation_folder(list(natural = c(1, 1), pgd = c(1, 0)))
  expect_equal(read_sense_evaluation(folder)$accuracy$attack, c("natural", "pgd"))
})

test_that("an evaluation is plain data that saveRDS keeps", {
  evaluation <- read_sense_evaluation(add_curves(mixed(diagnostics = toy_diagnostics())))
  file <- tempfile(fileext = ".rds")
  saveRDS(evaluation, file)
  expect_identical(readRDS(file), evaluation)
  plain <- function(x) is.null(x) || (is.atomic(x) || (is.list(x) && all(vapply(x, plain, TRUE))))
  expect_true(plain(unclass(evaluation)))
})

test_that("print shows the network, the accuracies and the warnings", {
  evaluation <- read_sense_evaluation(mixed(diagnostics = toy_diagnostics()))
  said <- paste(capture.output(print(evaluation)), collapse = "\n")
  expect_match(said, "toy: SENSE-AT \\(c = 0.7\\), capacity-1\nl-infinity eps = 0.3 on the first 5 of the 10 test images of toy")
  expect_match(said, "PGD +40.0 % \\[11.8, 76.9\\] \\(2 / 5\\) +\\[5.3, 85.3\\]")
  expect_match(said, "worst attack per image +20.0 %")
  expect_match(said, "1 of 2 checks warn:\n! At eps = 1 PGD leaves 25 % right")
  expect_match(said, "Skipped: stronger-attack")
  expect_no_match <- function(x, pattern) expect_false(grepl(pattern, x))
  expect_no_match(said, "Two passes agree")
  whole <- paste(capture.output(print(summary(evaluation))), collapse = "\n")
  expect_match(whole, "ok: Two passes agree")
  expect_match(whole, "deepfool-l2 +steps = 10, eps = 2, norm = 2")
  expect_match(whole, "commit +unknown")
})

# An evaluation that the built package leaves out.
stored_in_sources <- function() {
  stored <- system.file("extdata", "mnist-robustness", "sense", package = "sense")
  skip_if_not(nzchar(stored), "mnist-robustness, which is in the sources only")
  stored
}

test_that("the judgement of a stored evaluation is read as diagnostics", {
  diagnostics <- read_sense_evaluation(stored_in_sources())$diagnostics
  verdict <- function(check) diagnostics$verdict[diagnostics$check == check]
  expect_equal(nrow(diagnostics), 10)
  expect_equal(verdict("gradient-free"), "skipped")
  expect_equal(verdict("stronger-attack"), "warning")
})

test_that("print says when there are no diagnostics and when there are no warnings", {
  expect_output(print(read_sense_evaluation(mixed())), "No diagnostics: this evaluation was not checked")
  fine <- list(checks = toy_diagnostics()$checks[2])
  expect_output(print(read_sense_evaluation(mixed(diagnostics = fine))), "0 of 1 checks warn\\.")
})

test_that("print explains the rows of a cascade", {
  expect_output(print(read_sense_evaluation(mixed(cascade = TRUE))), "and all above it \\(cascade\\)")
  expect_false(any(grepl("cascade", capture.output(print(read_sense_evaluation(mixed()))))))
})

test_that("the description of the images says how they were drawn", {
  expect_output(print(read_sense_evaluation(mixed(draw = 3L))), "5, drawn with seed 3, of the 10")
})

test_that("stored evaluations can be read", {
  runs <- system.file("extdata", "mnist-demo", package = "sense")
  evaluation <- read_sense_evaluation(file.path(runs, "sense"))
  expect_equal(
    evaluation$accuracy$label, c("natural", "PGD-100 x 5", "AutoAttack", "worst attack per image")
  )
  expect_equal(evaluation$accuracy$n, rep(2000, 4))
  expect_output(print(evaluation), "all 2000 test images of mnist-sample")
})

test_that("curves and the steps of PGD are read, with intervals of the given level", {
  evaluation <- read_sense_evaluation(add_curves(mixed()), level = 0.9)
  expect_equal(evaluation$curve$estimate, c(1, 0.75, 0.25))
  expect_equal(evaluation$curve$lower, wilson_interval(c(4, 3, 1), 4, 0.9)$lower)
  expect_equal(nrow(evaluation$convergence), 18)
  expect_equal(evaluation$convergence_accuracy$k[1:6], c(3, 3, 3, 2, 2, 2))
  expect_null(read_sense_evaluation(mixed())$curve)
})

test_that("folders without a finished evaluation and invalid levels are refused", {
  expect_error(read_sense_evaluation(tempdir()), "no .*evaluation.json.*python -m sense.evaluate")
  expect_error(read_sense_evaluation(c("a", "b")), "a single string")
  expect_error(read_sense_evaluation(mixed(finished = FALSE)), "not finished.*python -m sense.evaluate toy")
  expect_error(read_sense_evaluation(mixed(), level = 95), "greater than 0 and less than 1")
})

test_that("the steps of PGD are read compressed too", {
  evaluation <- read_sense_evaluation(stored_in_sources())
  course <- evaluation$convergence_accuracy
  expect_equal(unique(course$step), 0:max(course$step))
  expect_equal(course$estimate, course$k / course$n)
})
