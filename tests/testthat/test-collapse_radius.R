test_that("0 minimises R-AT's population objective from the collapse radius on, not below", {
  for (p in c(0.55, 0.9)) {
    data <- three_clusters(40000, p, m = 2, sigma = 0.1, seed = 1)
    # Balanced classes, so that the intercept is 0 at w = 0 as in the population.
    keep <- unlist(lapply(split(seq_along(data$y), data$y), utils::head, min(table(data$y))))
    x <- as.matrix(data[keep, c("x1", "x2")])
    y <- data$y[keep]
    objective <- function(v, eps) {
      mean(log1p(exp(-(y * (v[1] + x %*% v[2:3]) - eps * sqrt(sum(v[2:3]^2))))))
    }
    radius <- collapse_radius(p, 2)
    least <- function(eps) optim(c(0, 0.5, 0.1), objective, eps = eps, control = list(maxit = 3000))$value
    expect_equal(least(1.05 * radius), log(2), tolerance = 1e-6)
    expect_lt(least(0.95 * radius), log(2) - 1e-4)
  }
})
