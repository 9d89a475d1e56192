test_that("plot() draws and returns what autoplot() returns", {
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  run <- system.file("extdata", "mnist-demo", "sense", package = "sense")
  evaluation <- read_sense_evaluation(run)
  objects <- list(
    read_sense_fit(run), evaluation, compare_sense(file.path(dirname(run), "nt"), run), accuracies(run),
    confusion(evaluation), calibration(cbind(a = 0.7, b = 0.3), "a"),
    fit_linear_at(three_clusters(50, seed = 1), iterations = 2)
  )
  for (object in objects) {
    drawn <- withVisible(plot(object))
    expect_false(drawn$visible)
    expect_equal(drawn$value$labels, autoplot(object)$labels, info = class(object)[1])
  }
})

test_that("one epoch is drawn without complaints of ggplot2", {
  fit <- read_sense_fit(system.file("extdata", "mnist-demo", "sense", package = "sense"))
  fit$metrics <- fit$metrics[1, ]
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  expect_silent(ggplot2::ggplotGrob(autoplot(fit)))
})
