evaluated_run <- function(natural, pgd, ...) {
  evaluation_folder(
    list(natural = natural, pgd = pgd), attacks = list(pgd = list(label = "PGD-10 x 2")), ...
  )
}

test_that("accuracies are counted from the outcomes, with Wilson intervals", {
  table <- accuracies(c(
    evaluated_run(c(1, 1, 1, 0), c(1, 0, 0, 0), name = "first"),
    evaluated_run(c(1, 1), c(0, 0), method = "nt", seed = 3L, name = "second")
  ))
  expect_equal(as.character(table$run), rep(c("first", "second"), each = 2))
  expect_equal(table$method, rep(c("SENSE-AT (c = 0.7)", "NT"), each = 2))
  expect_equal(table$seed, rep(c(1, 3), each = 2))
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
    vapply(c("mart", "mma", "iaat", "fgsm-rs", "n-fgsm"), function(m) name(method = m), ""),
    c(mart = "MART", mma = "MMA", iaat = "IAAT", "fgsm-rs" = "FGSM-RS", "n-fgsm" = "N-FGSM")
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

test_that("runs are named by their folders, and by the folder above where that is needed", {
  runs <- c(evaluated_run(1, 1, name = "a"), evaluated_run(1, 1, name = "b"))
  expect_equal(levels(accuracies(runs)$run), c("a", "b"))
  same <- c(evaluated_run(1, 1), evaluated_run(1, 1))
  expect_equal(
    levels(accuracies(same)$run), file.path(basename(dirname(same)), "toy")
  )
  elsewhere <- read_sense_evaluation(runs[1])
  elsewhere$folder <- file.path(tempdir(), "evaluation-2")
  elsewhere$target$name <- "the-run"
  expect_equal(levels(accuracies(elsewhere)$run), "the-run")
  temporary <- evaluated_run(1, 1, name = "sense-run-1a2b3c")
  expect_equal(levels(accuracies(temporary)$run), "SENSE-AT (c = 0.7)")
})

test_that("runs that differ only in their seed are one training", {
  runs <- vapply(1:3, function(seed) evaluated_run(1, 1, seed = seed, name = paste0("run-", seed)), "")
  other <- evaluated_run(1, 1, lr = 0.1, seed = 4L, name = "other")
  expect_equal(accuracies(c(runs, other))$training, rep(c(1, 1, 1, 2), each = 2))
})

test_that("each seed is a point with its interval, and the mean is a line with its value", {
  table <- accuracies(fake_seeds())
  plot <- autoplot(table)
  built <- ggplot2::ggplot_build(plot)
  expect_equal(nrow(built$layout$layout), 2)
  bars <- built$data[[2]]
  points <- built$data[[3]]
  expect_equal(sort(points$x), sort(table$estimate))
  expect_equal(sort(bars$xmin), sort(table$lower))
  expect_false(any(duplicated(points[c("PANEL", "y")])))
  means <- built$data[[4]]$x
  expect_equal(sort(means), sort(c(12, 18, 24, 30) / 40))
  expect_equal(sort(built$data[[5]]$label), c("30.0 %", "45.0 %", "60.0 %", "75.0 %"))
  expect_equal(built$layout$panel_params[[1]]$x$limits, c(0, 1))
  expect_match(gsub("\n", " ", plot$labels$caption), "seeds of training.*n = 40 test images")
})

test_that("a method with a single seed stands beside methods with several", {
  counts <- fake_seeds()
  plot <- autoplot(accuracies(counts[counts$method == "sense" | counts$seed == 1, ]))
  expect_equal(nrow(layer_data_of(plot, 3)), 8)
})

test_that("few attacks are shapes in a row per run, many attacks are rows", {
  few <- layer_data_of(autoplot(accuracies(evaluated_run(1, 1))), 3)
  expect_equal(length(unique(few$shape)), 2)
  many <- function(name) {
    evaluation_folder(list(natural = 1, pgd = 1, square = 1, fgsm = 0), name = name, method = name)
  }
  plot <- autoplot(accuracies(c(many("nt"), many("trades"))))
  points <- layer_data_of(plot, 3)
  expect_equal(length(unique(points$shape)), 2)
  expect_equal(length(unique(round(points$y))), 5) # with the worst attack
  expect_false(any(duplicated(points$y)))
})

test_that("the picture works for ten runs with long names", {
  names <- paste0("a-long-name-of-a-run-with-all-of-its-options-number-", 1:10)
  runs <- vapply(names, function(name) evaluated_run(c(1, 0), c(0, 0), name = name), "")
  plot <- autoplot(accuracies(runs))
  expect_equal(nrow(layer_data_of(plot, 3)), 20)
  lines <- strsplit(levels(plot$data$network), "\n")
  expect_true(all(nchar(unlist(lines)) <= 26))
  expect_equal(gsub("\n", "", levels(plot$data$network)[10]), paste0(names[10], ": SENSE-AT (c = 0.7)"))
})

test_that("the table prints k / n and intervals", {
  expect_output(
    print(accuracies(evaluated_run(c(1, 0), c(0, 0)))),
    "natural +50.0 % \\[9.5, 90.5\\] \\(1 / 2\\)"
  )
})

test_that("the picture has a point for each accuracy", {
  table <- accuracies(evaluated_run(c(1, 0), c(0, 0)))
  built <- ggplot2::ggplot_build(autoplot(table))
  expect_equal(sort(built$data[[3]]$x), sort(table$estimate))
  expect_equal(sort(built$data[[2]]$xmin), sort(table$lower))
  expect_equal(built$layout$panel_params[[1]]$x$limits, c(0, 1))
})

test_that("a run that was not evaluated is refused with the command to do so", {
  expect_error(accuracies(tempdir()), "python -m sense.evaluate")
})

test_that("what is no evaluated run is refused, and shown", {
  refused <- function(given, message) expect_error(accuracies(given), message, class = "sense_argument_error")
  refused(1, "paths of evaluated runs.*You gave numeric 1")
  refused(NULL, "You gave NULL")
  refused(list(), "You gave an empty object")
  refused(list(evaluated_run(1, 1), 2), "Number 2 is numeric 2")
  refused(c("runs/nt", NA), "You gave character")
})
