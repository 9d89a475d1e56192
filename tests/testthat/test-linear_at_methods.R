fit <- fit_linear_at(three_clusters(200, seed = 1), "sense", iterations = 30)

test_that("print, summary, tidy, glance and predict agree", {
  expect_output(print(fit), "SENSE-AT of a linear classifier, 200 points.*c = 0.9")
  expect_output(print(summary(fit)), "settled.*risk in closed form")
  expect_identical(tidy.linear_at(fit)$estimate, c(fit$b, fit$w))
  row <- glance.linear_at(fit)
  expect_equal(row$robust_risk, linear_risk(fit, eps = 1.6))
  expect_equal(row$standard_risk, linear_risk(fit))
  expect_identical(predict(fit, c(1, 7)), 1)
})

test_that("data of unknown law give no risks", {
  data <- as.data.frame(three_clusters(200, seed = 1))
  fit <- fit_linear_at(data, "r-at", iterations = 5)
  expect_null(summary(fit)$risks)
  expect_true(is.na(glance.linear_at(fit)$robust_risk))
})

test_that("a fit survives saveRDS", {
  file <- tempfile()
  saveRDS(fit, file)
  expect_identical(readRDS(file), fit)
})

test_that("autoplot draws a path or a boundary", {
  data <- three_clusters(200, seed = 1)
  expect_s3_class(ggplot2::autoplot(fit), "ggplot")
  built <- ggplot2::ggplot_build(ggplot2::autoplot(fit, data, type = "boundary"))
  moved <- sensible_examples(data, data$y, fit, 1.6, 0.9)
  points <- built$data[[3]]
  expect_equal(points$x, moved$x1, tolerance = 1e-10)
  expect_error(ggplot2::autoplot(fit, type = "boundary"), "`data` must be given")
})
