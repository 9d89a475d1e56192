test_that("a fit is plain data that saveRDS keeps", {
  skip_if_no_sense()
  fit <- short_fit()
  file <- tempfile(fileext = ".rds")
  saveRDS(fit, file)
  images <- sample_images(20)$x
  again <- readRDS(file)
  expect_identical(again, fit)
  # In another process, without the run's folder, all comes from the file.
  code <- sprintf(
    "library(sense); fit <- readRDS('%s'); fit$folder <- NULL; x <- readRDS('%s'); cat(sprintf('%%a', predict(fit, x, type = 'prob')))",
    file, local({
      f <- tempfile(fileext = ".rds")
      saveRDS(images, f)
      f
    })
  )
  elsewhere <- as.numeric(strsplit(utils::tail(fresh_r(code), 1), " ")[[1]])
  expect_equal(elsewhere, as.vector(predict(fit, images, type = "prob")), tolerance = 1e-6)
})

test_that("predictions equal those of Python's evaluation", {
  skip_if_no_sense()
  fit <- short_fit()
  system2(
    reticulate::py_config()$python,
    c("-m", "sense.evaluate", fit$folder, "--n", "40", "--steps", "2", "--restarts", "1"),
    stdout = TRUE, stderr = TRUE,
    env = paste0("PYTHONPATH=", shQuote(sense:::python_source()))
  )
  outcomes <- utils::read.csv(file.path(fit$folder, "outcomes.csv"))
  natural <- outcomes[outcomes$attack == "natural", ]
  expect_equal(nrow(natural), 40)
  expect_equal(as.integer(as.character(predict(fit, sample_images(40)$x))), natural$prediction)
  table <- accuracies(fit$folder)
  expect_equal(table$k[table$attack == "natural"], sum(natural$correct))
})

test_that("probabilities have a row for each image and the names of the classes", {
  skip_if_no_sense()
  probabilities <- predict(short_fit(), sample_images(5)$x / 255, type = "prob")
  expect_equal(dim(probabilities), c(5, 10))
  expect_equal(colnames(probabilities), as.character(0:9))
  expect_equal(rowSums(probabilities), rep(1, 5), tolerance = 1e-6)
})

test_that("print and summary show the method and the accuracies with n", {
  skip_if_no_sense()
  expect_output(print(short_fit()), "SENSE-AT.*c = 0.*capacity-1 on mnist-sample.*/ 32\\)")
  expect_output(print(summary(short_fit())), "Options.*Last epoch.*stages: A.*Provenance")
  accuracies <- summary(short_fit())$accuracies
  expect_equal(accuracies$n, c(32, 32))
  expect_true(all(accuracies$lower <= accuracies$estimate & accuracies$estimate <= accuracies$upper))
})

test_that("the training curves are drawn from the metrics", {
  skip_if_no_sense()
  fit <- short_fit()
  drawn <- ggplot2::ggplot_build(autoplot(fit))$data[[2]]
  expect_equal(sum(drawn$PANEL == 2), nrow(fit$metrics))
  expect_equal(drawn$y[drawn$PANEL == 2], fit$metrics$loss)
})

test_that("each method is described with its own options", {
  config <- list(norm = "inf", eps = 0.3, steps = 10L, c = 0.5, beta = 6, d_max = NULL)
  shown <- function(...) sense:::describe_method(utils::modifyList(config, list(...)))
  expect_equal(shown(method = "trades"), "TRADES, beta = 6, l-infinity eps = 0.3, K = 10")
  expect_match(shown(method = "mma"), "\\(MMA\\), K = 10")
  expect_match(shown(method = "mma", d_max = 0.2), "d_max = 0.2")
  expect_match(shown(method = "iaat", norm = "2"), "IAAT.*l2 eps")
  expect_match(shown(method = "fgsm-rs"), "FGSM-RS.*eps = 0.3$")
  expect_match(shown(method = "n-fgsm"), "N-FGSM.*eps = 0.3$")
  expect_match(shown(method = "free", replays = 8L), "free.*m = 8.*eps = 0.3$")
})

test_that("means of the last epoch are shown, except over no image", {
  metrics <- data.frame(epoch = 1:2, stage_b_gap = c(NA, 0.25), radius = c(0.1, NA))
  expect_equal(sense:::last_means(metrics), list("gap of stage B below log(1/c)" = 0.25))
  expect_length(sense:::last_means(data.frame(epoch = 1)), 0)
})

test_that("a folder without a run and images of another size are refused", {
  expect_error(read_sense_fit(tempdir()), "not the folder of a finished run")
  skip_if_no_sense()
  expect_error(predict(short_fit(), array(0, c(1, 20, 28))), "images must be n x 28 x 28")
  expect_error(predict(short_fit()), "newdata")
})
