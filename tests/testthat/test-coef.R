test_that("coefficients in the plane give the score", {
  fit <- fit_linear_at(three_clusters(100, seed = 1), iterations = 3)
  points <- as.matrix(three_clusters(10, seed = 2)[c("x1", "x2")])
  expect_named(coef(fit), c("(Intercept)", "x1", "x2"))
  expect_equal(as.vector(cbind(1, points) %*% coef(fit)), predict(fit, points, "score"))
})

test_that("a deep network has no coefficients that mean something", {
  fit <- read_sense_fit(system.file("extdata", "mnist-demo", "sense", package = "sense"))
  expect_error(coef(fit), "8 tensors.*mean nothing by themselves")
})

test_that("the coefficients of a linear network give its probabilities", {
  skip_if_no_sense()
  folder <- tempfile("linear-")
  dir.create(folder)
  writeLines(
    c("from torch import nn", "def make(shape, classes):", "    return nn.Sequential(nn.Flatten(), nn.Linear(784, classes))"),
    file.path(folder, "linear_network.py")
  )
  before <- setwd(folder)
  on.exit(setwd(before))
  fit <- train_sense(
    method = "nt", model = "linear_network:make", epochs = 1, pretrain = 0, train_size = 200,
    control = sense_control(threads = 1, monitor_size = 8, quiet = TRUE)
  )
  found <- coef(fit)
  expect_equal(dim(found), c(10, 785))
  x <- sample_images(3)$x
  rows <- t(apply(x, 1, function(image) as.vector(t(image)) / 255))
  logits <- cbind(1, rows) %*% t(found)
  expected <- exp(logits) / rowSums(exp(logits))
  expect_equal(unname(predict(fit, x, type = "prob", model = "linear_network:make")), unname(expected), tolerance = 1e-5)
})
