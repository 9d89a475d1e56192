test_that("the sample follows its law", {
  data <- three_clusters(40000, p = 0.7, m = 3, sigma = 0.5, seed = 1)
  share <- table(data$cluster) / nrow(data)
  # Four standard errors.
  expect_true(all(abs(share - c(0.35, 0.15, 0.5)) < 4 * sqrt(0.25 / 40000)))
  expect_identical(data$y, ifelse(data$cluster == "C", -1L, 1L))
  for (k in c("A", "B", "C")) {
    x <- data[data$cluster == k, ]
    centre <- list(A = c(1, 3), B = c(1, -3), C = c(-1, 0))[[k]]
    expect_true(all(abs(colMeans(x[, 1:2]) - centre) < 4 * 0.5 / sqrt(nrow(x))))
    expect_equal(unname(cov(x[, 1:2])), diag(0.25, 2), tolerance = 0.05, ignore_attr = TRUE)
  }
})

test_that("a seed repeats the sample and does not change the session's random stream", {
  set.seed(9)
  before <- runif(1)
  set.seed(9)
  a <- three_clusters(10, seed = 3)
  expect_identical(runif(1), before)
  expect_identical(three_clusters(10, seed = 3), a)
  expect_false(identical(three_clusters(10, seed = 4)$x1, a$x1))
  set.seed(1)
  b <- three_clusters(10)
  expect_false(identical(three_clusters(10)$x1, b$x1))
})

test_that("print shows the parameters and returns the data", {
  data <- three_clusters(8, seed = 1)
  expect_output(expect_identical(print(data), data), "8 points, p = 0.55, m = 7, sigma = 0.2")
  expect_output(print(data[1:3, ]), "3 points")
  expect_identical(class(as.data.frame(data)), "data.frame")
})

test_that("invalid parameters are refused", {
  expect_error(three_clusters(0), "`n` must be one whole number, at least 1")
  expect_error(three_clusters(5, p = 1), "`p` must be one number, greater than 0 and less than 1")
  expect_error(three_clusters(5, sigma = "a"), "`sigma`.*\n.*character")
  expect_error(three_clusters(5, m = NA), "`m`")
})
