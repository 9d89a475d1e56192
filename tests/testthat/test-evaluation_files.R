damaged <- function(change) {
  folder <- evaluation_folder(list(natural = c(1, 1, 0), pgd = c(1, 0, 0)))
  path <- file.path(folder, "outcomes.csv")
  writeLines(change(readLines(path)), path)
  sealed(folder)
}

test_that("contradictory outcomes are refused", {
  expect_error(
    read_sense_evaluation(damaged(function(rows) rows[-7])), "damaged: \"pgd\" has other images"
  )
  expect_error(
    read_sense_evaluation(damaged(function(rows) sub("0,1,pgd,1,1", "0,1,pgd,1,0", rows))),
    "damaged: row 4 has correct = 0 for prediction 1 and label 1"
  )
  expect_error(
    read_sense_evaluation(damaged(function(rows) sub("0,1,pgd,1,1", "0,1,pgd,2,0", rows))),
    "under \"pgd\" outcomes.csv has 0 of 3 images correct, evaluation.json 1 of 3"
  )
  expect_error(read_sense_evaluation(damaged(function(rows) rows[1])), "must have rows")
})

test_that("an evaluation of other weights than those of the run is refused", {
  run <- evaluation_folder(list(natural = c(1, 1, 0), pgd = c(1, 0, 0)))
  path <- file.path(run, "evaluation.json")
  with_sum <- function(sum) {
    text <- paste(readLines(path), collapse = "")
    text <- gsub("\"weights_file_sha256\":\"[0-9a-f]*\",", "", text)
    writeLines(sub("\"target\": *\\{", sprintf("\"target\":{\"weights_file_sha256\":\"%s\",", sum), text), path)
    sealed(run)
  }
  weights <- file.path(run, "model.safetensors")
  writeBin(as.raw(1:9), weights)
  now <- sha256(as.raw(1:9))
  expect_s3_class(read_sense_evaluation(with_sum(now)), "sense_evaluation")
  with_sum(strrep("0", 64))
  expect_error(read_sense_evaluation(run), "is of other weights than .* --overwrite")
  expect_error(accuracies(run), "is of other weights than")
  numbered <- file.path(run, "evaluation-2")
  dir.create(numbered)
  file.copy(file.path(run, c("evaluation.json", "outcomes.csv", "manifest.json")), numbered)
  sealed(numbered)
  expect_error(read_sense_evaluation(numbered), "is of other weights than")
  file.remove(weights)
  sealed(run)
  expect_s3_class(read_sense_evaluation(run), "sense_evaluation")
})

test_that("gzipped outcomes are read", {
  folder <- evaluation_folder(list(natural = c(1, 1, 0), pgd = c(1, 0, 0)))
  before <- read_sense_evaluation(folder)$outcomes
  path <- file.path(folder, "outcomes.csv")
  zipped <- gzfile(paste0(path, ".gz"), "w")
  writeLines(readLines(path), zipped)
  close(zipped)
  file.remove(path)
  sealed(folder)
  expect_identical(read_sense_evaluation(folder)$outcomes, before)
})

test_that("a network of unknown training has its own name as method", {
  folder <- evaluation_folder(list(natural = 1, pgd = 1), name = "somebody-s")
  file.remove(file.path(folder, "config.json"))
  expect_error(read_sense_evaluation(folder), "config.json' is listed in 'manifest.json', but missing")
  sealed(folder)
  evaluation <- read_sense_evaluation(folder)
  expect_equal(evaluation$target$method, "somebody-s")
  expect_equal(evaluation$target$model, "capacity-1")
  expect_equal(unique(as.character(accuracies(folder)$run)), "somebody-s")
})

test_that("the worst case is taken over the attacks in the evaluation's ball", {
  attacks <- list(a = list(eps = 0.3, norm = "inf"), b = list(eps = 0.3, norm = "2"),
                  c = list(eps = 0.1, norm = "inf"), d = list(eps = 0.3, norm = "inf"))
  options <- list(eps = 0.3, norm = "inf")
  expect_equal(sense:::within_ball(attacks, options), c("a", "d"))
  correct <- cbind(natural = c(TRUE, TRUE, TRUE), a = c(TRUE, TRUE, FALSE), b = FALSE,
                 d = c(TRUE, FALSE, TRUE))
  expect_equal(sense:::with_worst_case(correct, attacks, options)[, "worst"], c(TRUE, FALSE, FALSE))
  expect_false("worst" %in% colnames(sense:::with_worst_case(correct[, 1:2], attacks["a"], options)))
})

test_that("an attack on some of the images counts for the worst case and has no accuracy", {
  attacks <- list(a = list(eps = 0.3, norm = "inf"),
                  convergence = list(eps = 0.3, norm = "inf", images = 1L))
  correct <- cbind(natural = c(TRUE, TRUE), a = c(TRUE, FALSE), convergence = c(FALSE, TRUE))
  found <- sense:::with_worst_case(correct, attacks, list(eps = 0.3, norm = "inf"))
  expect_equal(colnames(found), c("natural", "a", "worst"))
  expect_equal(found[, "worst"], c(FALSE, FALSE))
})
