first_right <- list(natural = rep(1, 10), pgd = c(1, 1, 1, 1, 1, 1, 1, 0, 0, 0))
second_right <- list(natural = c(rep(1, 9), 0), pgd = c(1, 0, 0, 0, 0, 0, 0, 1, 0, 0))
first <- function(...) evaluation_folder(first_right, name = "first", ...)
second <- function(...) evaluation_folder(second_right, method = "r-at", name = "second", ...)

test_that("pairs are tested by McNemar's exact test with Holm's adjustment", {
  table <- as.data.frame(compare_sense(first(), second()))
  expect_equal(table$attack, c("natural", "pgd"))
  expect_equal(table$first, rep("first", 2))
  expect_equal(table$both, c(9, 1))
  expect_equal(table$only_first, c(1, 6))
  expect_equal(table$only_second, c(0, 1))
  expect_equal(table$neither, c(0, 2))
  expect_equal(table$n, c(10, 10))
  # 2 P(X <= 1) of a binomial X of 7 halves.
  expect_equal(table$p, c(1, 2 * (1 + 7) / 2^7))
  expect_equal(table$p_holm, c(1, 0.25))
  expect_equal(table$difference, c(0.1, 0.5))
  expect_equal(table[c("lower", "upper")], paired_interval(c(1, 6), c(0, 1), 10)[c("lower", "upper")])
})

test_that("the order of the networks changes the signs, the order of the images changes nothing", {
  there <- as.data.frame(compare_sense(first(), second()))
  back <- as.data.frame(compare_sense(second(), first()))
  expect_equal(back$difference, -there$difference)
  expect_equal(back$lower, -there$upper, tolerance = 1e-9)
  expect_equal(back$p, there$p)
  turned <- evaluation_folder(lapply(second_right, rev), images = 9:0, method = "r-at", name = "second")
  expect_equal(as.data.frame(compare_sense(first(), turned)), there)
})

test_that("three networks are compared in three pairs, the worst case included", {
  correct <- function(a, b) list(natural = c(1, 1, 1, 1), pgd = a, square = b)
  comparison <- compare_sense(
    a = evaluation_folder(correct(c(1, 1, 0, 0), c(1, 0, 1, 0))),
    b = evaluation_folder(correct(c(1, 1, 1, 0), c(1, 1, 1, 0))),
    c = evaluation_folder(correct(c(0, 0, 0, 0), c(0, 0, 0, 0)))
  )
  expect_equal(nrow(comparison$pairs), 12)
  worst <- comparison$pairs[comparison$pairs$attack == "worst", ]
  expect_equal(paste(worst$first, worst$second), c("a b", "a c", "b c"))
  expect_equal(worst$only_first, c(0, 1, 3))
  expect_equal(worst$only_second, c(2, 0, 0))
  expect_equal(comparison$pairs$p_holm, stats::p.adjust(comparison$pairs$p, "holm"))
})

test_that("worst cases over different attacks are not compared", {
  more <- evaluation_folder(list(natural = c(1, 1), pgd = c(1, 1), square = c(1, 0)))
  most <- evaluation_folder(
    list(natural = c(1, 1), pgd = c(1, 1), square = c(1, 0), fgsm = c(1, 1)), method = "nt"
  )
  expect_equal(as.data.frame(compare_sense(more, most))$attack, c("natural", "pgd", "square"))
})

test_that("evaluations with different images, labels or options are refused", {
  expect_error(compare_sense(first(), second(images = 1:10)), "not evaluated on the same images")
  expect_error(compare_sense(first(), second(label = 2L)), "same labels")
  expect_error(compare_sense(first(), second(sha256 = "xyz")), "same images")
  expect_error(compare_sense(first(), second(eps = 0.1)), "different options: eps \\(0.3, not 0.1\\)")
  expect_error(
    compare_sense(first(), second(attacks = list(pgd = list(steps = 20L)))),
    "steps of pgd \\(10, not 20\\)"
  )
  expect_error(compare_sense(first()), "at least two evaluations")
  expect_error(compare_sense(), "paths of evaluated runs")
})

test_that("training seeds have a mean and a standard deviation, and their counts are not added up", {
  one <- evaluation_folder(list(natural = c(1, 1, 1, 1), pgd = c(1, 1, 0, 0)), seed = 1L)
  two <- evaluation_folder(list(natural = c(1, 1, 1, 0), pgd = c(1, 1, 1, 1)), seed = 2L)
  other <- evaluation_folder(list(natural = c(1, 1, 1, 1), pgd = c(0, 0, 0, 0)), method = "nt", seed = 2L)
  comparison <- compare_sense(one = one, two = two, nt = other)
  expect_equal(comparison$seeds$group, rep("SENSE-AT (c = 0.7), capacity-1", 2))
  expect_equal(comparison$seeds$networks, c(2, 2))
  expect_equal(comparison$seeds$mean, c(7 / 8, 3 / 4))
  expect_equal(comparison$seeds$sd, c(stats::sd(c(1, 0.75)), stats::sd(c(0.5, 1))))
  expect_true(all(comparison$pairs$n == 4))
  expect_output(print(comparison), "Over training seeds:.*87.5 % +17.7 +2")
})

test_that("networks with one seed or different options are not a group of seeds", {
  again <- compare_sense(a = first(), b = first())
  expect_null(again$seeds)
  options <- compare_sense(a = first(lr = 0.1, seed = 1L), b = first(lr = 0.2, seed = 2L))
  expect_null(options$seeds)
})

test_that("the run says which options distinguish two trainings", {
  stored <- read_sense_evaluation(system.file("extdata", "mnist-demo", "sense", package = "sense"))
  runtime <- unlist(stored$target$runtime_options)
  expect_true(all(c("monitor", "compile", "compact_every", "cudnn_benchmark") %in% runtime))
  for (name in setdiff(runtime, names(stored$target$config))) stored$target$config[[name]] <- "own"
  for (option in setdiff(names(stored$target$config), c("seed", "method", "model", "c"))) {
    other <- stored
    other$target$config$seed <- 2
    other$target$config[[option]] <- "other"
    comparison <- compare_sense(one = stored, two = other)
    expect_equal(is.null(comparison$seeds), !option %in% runtime, info = option)
    if (option %in% runtime) {
      expect_length(sense:::seed_notes(comparison$evaluations), 0)
    } else {
      expect_output(print(comparison), sprintf("one and two differ not only by their seed: %s", option))
    }
  }
})

test_that("a run that does not name its runtime options is noted", {
  old <- read_sense_evaluation(system.file("extdata", "mnist-demo", "sense", package = "sense"))
  old$target$runtime_options <- NULL
  other <- old
  other$target$config$seed <- 2
  other$target$config$threads <- 3
  comparison <- compare_sense(one = old, two = other)
  expect_null(comparison$seeds)
  expect_output(print(comparison), "one, two: an older run.*differ not only by their seed: threads")
})

test_that("the stored runs agree with Python's statistics", {
  skip_if_no_sense()
  runs <- system.file("extdata", "mnist-demo", package = "sense")
  table <- as.data.frame(compare_sense(as.list(file.path(runs, c("nt", "r-at", "sense")))))
  statistics <- reticulate::import_from_path("sense.statistics", path = sense:::python_source())
  theirs <- mapply(
    function(b, c) statistics$mcnemar(as.integer(b), as.integer(c)),
    table$only_first, table$only_second
  )
  expect_equal(table$p, theirs, tolerance = 1e-12)
  expect_equal(table$p_holm, unlist(statistics$holm(as.list(theirs))), tolerance = 1e-12)
})
