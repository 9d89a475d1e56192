evaluated_run <- function(natural, pgd, ...) {
  evaluation_folder(
    list(natural = natural, pgd = pgd), attacks = list(pgd = list(label = "PGD-10 x 2")), ...
  )
}

test_that("accuracies are counted from the outcomes, with Wilson intervals", {
  table <- accuracies(c(
    evaluated_run(c(1, 1, 1, 0), c(1, 0, 0, 0)),
    evaluated_run(c(1, 1), c(0, 0), method = "nt")
  ))
  expect_equal(as.character(table$run), rep(c("SENSE-AT (c = 0.7)", "NT"), each = 2))
  expect_equal(table$attack, rep(c("natural", "PGD-10 x 2"), 2))
  expect_equal(table$k, c(3, 1, 2, 0))
  expect_equal(table$n, c(4, 4, 2, 2))
  expect_equal(table$lower, wilson_interval(table$k, table$n)$lower)
})

test_that("every method has its name", {
  name <- function(...) sense:::method_name(list(..., c = 0.5))
  expect_equal(name(method = "trades"), "TRADES")
  expect_equal(name(method = "sense-trades"), "SENSE-TRADES (c = 0.5)")
  expect_equal(
    vapply(c("mart", "mma", "iaat"), function(m) name(method = m), ""),
    c(mart = "MART", mma = "MMA", iaat = "IAAT")
  )
})

test_that("names label the runs", {
  table <- accuracies(c(mine = evaluated_run(1, 1)))
  expect_equal(unique(as.character(table$run)), "mine")
})

test_that("evaluations serve as well as folders, at the level asked for", {
  folder <- add_curves(evaluated_run(c(1, 1, 1, 0), c(1, 0, 0, 0)))
  evaluation <- read_sense_evaluation(folder)
  expect_equal(accuracies(list(evaluation)), accuracies(folder))
  expect_equal(accuracies(evaluation, level = 0.5), accuracies(folder, level = 0.5))
  expect_equal(accuracies(evaluation, level = 0.5)$upper, wilson_interval(c(3, 1), 4, 0.5)$upper)
  expect_equal(sense:::at_level(evaluation, 0.5)$curve, read_sense_evaluation(folder, 0.5)$curve)
  expect_output(print(accuracies(folder, level = 0.5)), "50 % interval")
})

test_that("networks of one method are told apart by their folders, else by number", {
  twins <- c(evaluated_run(1, 1, name = "a"), evaluated_run(1, 1, name = "b"))
  expect_equal(
    levels(accuracies(twins)$run), c("SENSE-AT (c = 0.7), a", "SENSE-AT (c = 0.7), b")
  )
  same <- c(evaluated_run(1, 1), evaluated_run(1, 1))
  expect_equal(
    levels(accuracies(same)$run), c("SENSE-AT (c = 0.7), toy", "SENSE-AT (c = 0.7), toy 1")
  )
})

test_that("many attacks have a panel each, few a shape", {
  many <- evaluation_folder(list(natural = 1, pgd = 1, square = 1, fgsm = 0))
  built <- ggplot2::ggplot_build(autoplot(accuracies(many)))
  expect_equal(nrow(built$layout$layout), 5) # and the worst
  few <- ggplot2::ggplot_build(autoplot(accuracies(evaluated_run(1, 1))))
  expect_equal(nrow(few$layout$layout), 1)
  expect_equal(length(unique(few$data[[2]]$shape)), 2)
})

test_that("the table prints k / n and intervals", {
  expect_output(
    print(accuracies(evaluated_run(c(1, 0), c(0, 0)))),
    "natural +50.0 % \\[9.5, 90.5\\] \\(1 / 2\\)"
  )
})

test_that("the picture has a point for each accuracy", {
  table <- accuracies(evaluated_run(c(1, 0), c(0, 0)))
  built <- ggplot2::ggplot_build(autoplot(table))$data
  expect_equal(sort(built[[2]]$x), sort(table$estimate))
  expect_equal(sort(built[[1]]$xmin), sort(table$lower))
})

test_that("a run that was not evaluated is refused with the command to do so", {
  expect_error(accuracies(tempdir()), "python -m sense.evaluate")
  expect_error(accuracies(1), "paths of evaluated runs")
})
