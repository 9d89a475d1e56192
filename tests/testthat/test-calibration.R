probabilities <- function(confidence) cbind(a = confidence, b = 1 - confidence)

test_that("bins, error and intervals are those of the definition", {
  confidence <- c(0.55, 0.6, 0.65, 0.95, 0.95)
  truth <- c("a", "b", "a", "a", "b")
  found <- calibration(probabilities(confidence), truth)
  expect_equal(found$bins$from, c(0.5, 0.6, 0.9))
  expect_equal(found$bins$confidence, c(0.575, 0.65, 0.95)) # 0.6 belongs to the bin that ends there
  expect_equal(found$bins$k, c(1, 1, 1))
  expect_equal(found$bins$lower, wilson_interval(c(1, 1, 1), c(2, 1, 2))$lower)
  expect_equal(found$summary$ece, (2 * 0.075 + 0.35 + 2 * 0.45) / 5)
  expect_equal(found$summary$mce, 0.45)
  expect_equal(found$summary$accuracy, 0.6)
  narrow <- calibration(probabilities(confidence), truth, level = 0.5)
  expect_equal(narrow$bins$upper, wilson_interval(c(1, 1, 1), c(2, 1, 2), 0.5)$upper)
})

test_that("a calibrated network is below the quantile in about 95 % of samples, an overconfident one is not", {
  sample_of <- function(seed, shift) with_seed(seed, {
    confidence <- stats::runif(300, 0.5, 1)
    calibration(probabilities(confidence), ifelse(stats::runif(300) < confidence - shift, "a", "b"))$summary
  })
  below <- vapply(1:60, function(seed) with(sample_of(seed, 0), ece <= ece_if_calibrated), TRUE)
  expect_gt(sum(below), stats::qbinom(0.001, 60, 0.95) - 1)
  expect_gt(with(sample_of(1, 0.2), ece - ece_if_calibrated), 0.05)
})

test_that("a fit is measured naturally and under attack, in agreement with its predictions", {
  skip_if_no_sense()
  fit <- read_sense_fit(system.file("extdata", "mnist-demo", "sense", package = "sense"))
  found <- calibration(fit, n = 60, steps = 3, restarts = 1, threads = 1)
  expect_equal(found$summary$images, c("natural", "PGD-3 x 1"))
  images <- sample_images(60)
  known <- calibration(predict(fit, images$x, type = "prob"), images$y)
  expect_equal(found$summary[1, -1], known$summary[1, -1], tolerance = 1e-5)
  expect_lt(found$summary$accuracy[2], found$summary$accuracy[1])
})

test_that("the picture shows each bin", {
  found <- calibration(probabilities(c(0.55, 0.65, 0.95)), c("a", "b", "a"))
  expect_equal(layer_data_of(autoplot(found), 3)$y, found$bins$estimate)
  expect_equal(as.data.frame(found), found$bins)
  expect_output(print(found), "<sense_calibration>.*ECE")
})

test_that("what has no probabilities is refused", {
  evaluation <- read_sense_evaluation(system.file("extdata", "mnist-demo", "sense", package = "sense"))
  expect_error(calibration(evaluation), "stores predicted classes")
  expect_error(calibration(cbind(a = 0.5, b = 0.6), "a"), "`object`")
  expect_error(calibration(cbind(0.5, 0.5), "a"), "`object`")
  expect_error(calibration(probabilities(0.5), "c"), "`truth`")
  expect_error(calibration(probabilities(0.5), "a", bins = 0), "`bins`")
})

test_that("fewer images than by default are all taken", {
  skip_if_no_sense()
  fit <- train_sense(am ~ hp, mtcars, epochs = 1, pretrain = 0, control = sense_control(quiet = TRUE, threads = 1))
  found <- calibration(fit, x = mtcars, y = mtcars$am, attack = "fgsm")
  expect_equal(found$summary$n, c(32, 32))
  expect_equal(nrow(adversarial_examples(fit, attack = "fgsm", x = mtcars[1:3, ], y = mtcars$am[1:3])$table), 3)
})

test_that("each class has one column", {
  expect_error(calibration(cbind(a = 0.5, a = 0.5), "a"), "each once")
})
