test_that("the two-cluster line is the paper's, where the densities of A and C are equal", {
  f <- two_cluster_line(p = 0.7, m = 3, sigma = 0.8)
  x1 <- seq(-3, 3, by = 0.5)
  x2 <- -2 * x1 / 3 + 3 / 2 - 0.8^2 * log(0.7) / 3
  expect_equal(predict(f, cbind(x1, x2), "score"), rep(0, length(x1)), tolerance = 1e-12)
  log_ratio <- log(0.7) - ((x1 - 1)^2 + (x2 - 3)^2) / (2 * 0.8^2) + ((x1 + 1)^2 + x2^2) / (2 * 0.8^2)
  expect_equal(log_ratio, rep(0, length(x1)), tolerance = 1e-12)
  expect_identical(predict(f, rbind(c(1, 3), c(-1, 0))), c(1, -1))
})

test_that("no line of a fine grid has a lower risk than the best line", {
  for (case in list(c(0.5, 0.6, 0), c(0.95, 0.5, 0), c(0.55, 0.2, 1.6), c(0.7, 0.4, 0.8))) {
    best <- attr(best_line(case[1], 7, case[2], case[3]), "risk")
    law <- list(p = case[1], m = 7, sigma = case[2])
    grid <- expand.grid(angle = seq(-pi, pi, length.out = 121), b = seq(-8, 8, by = 0.2))
    risk <- mapply(function(a, b) linear_risk_value(linear_classifier(c(cos(a), sin(a)), b), law, case[3], 2),
                   grid$angle, grid$b)
    expect_lte(best, min(risk) + 1e-9)
  }
})

test_that("sign(x1) is best only for p = 1/2", {
  at <- function(p) linear_risk(vertical_line(), p, sigma = 0.5) - attr(best_line(p, sigma = 0.5), "risk")
  expect_lt(abs(at(0.5)), 1e-9)
  expect_gt(at(0.6), 1e-4)
})
