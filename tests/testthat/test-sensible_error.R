# Definition 2 by brute force for one point: candidates z on the classifier's line, on
# the Bayes boundary, and in the ball, just inside the region in question.
brute_sensible <- function(f, rule, x, y, eps, norm) {
  angle <- seq(0, 2 * pi, length.out = 241)
  unit <- cbind(cos(angle), sin(angle))
  if (norm == Inf) unit <- unit / pmax(abs(unit[, 1]), abs(unit[, 2]))
  ball <- do.call(rbind, lapply(seq(0, 1, length.out = 81), function(r) {
    cbind(x[1] + r * eps * unit[, 1], x[2] + r * eps * unit[, 2])
  }))
  u <- f$w / sqrt(sum(f$w^2))
  s <- seq(-12, 12, length.out = 4001)
  line <- cbind(-f$b * f$w[1] / sum(f$w^2) - s * u[2], -f$b * f$w[2] / sum(f$w^2) + s * u[1])
  line <- rbind(line, line - 1e-7 * y * matrix(u, nrow(line), 2, byrow = TRUE))
  height <- seq(-12, 12, length.out = 4001)
  edge <- cbind(bayes_boundary(rule, height) + 1e-7 * y, height)
  z <- rbind(ball, line, edge)
  gap <- sweep(z, 2, x)
  d <- if (norm == 2) sqrt(rowSums(gap^2)) else pmax(abs(gap[, 1]), abs(gap[, 2]))
  z <- z[d <= eps, , drop = FALSE]
  any(predict(rule, z) == y & predict(f, z) != y)
}

test_that("sensible errors of linear classifiers equal brute force", {
  rule <- bayes_rule(0.7, 3, 0.8)
  law <- list(p = 0.7, m = 3, sigma = 0.8)
  data <- three_clusters(120, 0.7, 3, 0.8, seed = 5)
  lines <- list(vertical_line(), two_cluster_line(0.7, 3, 0.8), linear_classifier(c(0.2, -1), -1),
                linear_classifier(c(-0.3, 1), 1), linear_classifier(c(-1, 0.1), 0.5))
  seen <- c(FALSE, FALSE)
  for (norm in c(2, Inf)) for (f in lines) {
    x <- as_points(data)
    open <- which(predict(rule, x) == data$y & predict(f, x) == data$y)
    exact <- sensible_error(f, x[open, ], data$y[open], law, 1.2, norm)
    brute <- vapply(open, function(i) brute_sensible(f, rule, x[i, ], data$y[i], 1.2, norm), TRUE)
    # The brute force may miss an error, but not find a false one.
    expect_true(all(exact[brute]))
    expect_lte(sum(exact & !brute), 1)
    seen <- seen | c(any(brute), any(!brute))
  }
  expect_true(all(seen))
})

test_that("Theorem 1: the Bayes rule has the least sensible risk, and away from its boundary
          the least robust risk", {
  p <- 0.8
  rule <- bayes_rule(p, 2, 0.7)
  data <- three_clusters(20000, p, 2, 0.7, seed = 1)
  x <- as_points(data)
  law <- list(p = p, m = 2, sigma = 0.7)
  eps <- 0.5
  away <- boundary_distance(rule, x) > eps
  for (f in list(vertical_line(), two_cluster_line(p, 2, 0.7), best_line(p, 2, 0.7, eps))) {
    expect_lt(sum(is_error(rule, x, data$y, "sensible", law, eps, 2)),
              sum(is_error(f, x, data$y, "sensible", law, eps, 2)))
    expect_lt(sum(is_error(rule, x, data$y, "robust", law, eps, 2)[away]),
              sum(is_error(f, x, data$y, "robust", law, eps, 2)[away]))
  }
})

test_that("standard <= sensible <= robust, point by point", {
  data <- three_clusters(3000, 0.7, 2, 0.8, seed = 2)
  law <- list(p = 0.7, m = 2, sigma = 0.8)
  for (f in list(vertical_line(), linear_classifier(c(1, 1), 0.2))) {
    error <- lapply(c("standard", "sensible", "robust"), function(k) {
      is_error(f, as_points(data), data$y, k, law, 0.7, 2)
    })
    expect_true(all(error[[1]] <= error[[2]]) && all(error[[2]] <= error[[3]]))
    expect_true(sum(error[[1]]) < sum(error[[2]]) && sum(error[[2]]) < sum(error[[3]]))
  }
})
