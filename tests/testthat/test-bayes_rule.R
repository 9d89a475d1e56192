# Equation (18), written out.
density_of <- function(x, centre, sigma) {
  exp(-((x[, 1] - centre[1])^2 + (x[, 2] - centre[2])^2) / (2 * sigma^2))
}

test_that("labels and posterior are those of equation (18)", {
  set.seed(1)
  x <- cbind(runif(500, -4, 4), runif(500, -5, 5))
  for (law in list(c(0.7, 3, 0.8), c(0.5, 2, 1.5), c(0.2, 1, 0.6))) {
    rule <- bayes_rule(law[1], law[2], law[3])
    positive <- law[1] * density_of(x, c(1, law[2]), law[3]) +
      (1 - law[1]) * density_of(x, c(1, -law[2]), law[3])
    negative <- density_of(x, c(-1, 0), law[3])
    expect_equal(predict(rule, x, "prob"), positive / (positive + negative), tolerance = 1e-10)
    expect_identical(predict(rule, x), ifelse(positive > negative, 1, -1))
  }
})

test_that("labels do not overflow far from the data, where the densities vanish", {
  rule <- bayes_rule(sigma = 0.01)
  expect_identical(predict(rule, rbind(c(1, 700), c(-900, 0)), "prob"), c(1, 0))
})

test_that("the posterior is one half on the boundary", {
  rule <- bayes_rule(0.8, 2, 0.7)
  height <- seq(-6, 6, by = 0.5)
  expect_equal(predict(rule, cbind(bayes_boundary(rule, height), height), "prob"),
               rep(0.5, length(height)), tolerance = 1e-8)
})

test_that("invalid input is refused by the name of the argument", {
  expect_error(bayes_boundary(1, 0), "bayes_rule")
  expect_error(predict(bayes_rule(), matrix(1, 2, 3)), "points in the plane")
  expect_error(predict(bayes_rule(), cbind(NA_real_, 1)), "finite")
  expect_error(predict(bayes_rule(), c(0, 0), "label"), "class.*prob")
})
