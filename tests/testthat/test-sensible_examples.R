test_that("both boundary rules equal Algorithm 2 or Definition 3, point by point", {
  data <- three_clusters(80, m = 2, sigma = 0.8, seed = 1)
  f <- linear_classifier(c(1.5, 0.6), -0.2)
  for (case in list(c(1, 0.6, 0.8), c(4, 0.15, 0.8), c(5, 0.3, 0.55), c(7, 0.1, 0.3))) {
    K <- case[1]
    step <- case[2]
    eps <- 0.6
    revert <- sensible_examples(data, data$y, f, eps, case[3], K, step, "revert")
    x <- as_points(data)
    literal <- t(vapply(seq_len(80), function(i) {
      literal_algorithm_2(x[i, ], data$y[i], f, eps, case[3], K, step)
    }, c(0, 0)))
    expect_equal(as_points(revert), literal, tolerance = 1e-10)
  }
})

test_that("the projected example is the worst point of the closed set of Definition 3", {
  data <- three_clusters(40, m = 2, sigma = 0.8, seed = 2)
  f <- linear_classifier(c(1.5, 0.6), -0.2)
  angle <- seq(0, 2 * pi, length.out = 361)
  for (norm in c(2, Inf)) for (c in c(0.3, 0.8)) {
    step <- sensible_examples(data, data$y, f, 0.6, c, misclassified = "move", norm = norm)
    for (i in seq_len(40)) {
      x <- c(data$x1[i], data$x2[i])
      unit <- cbind(cos(angle), sin(angle))
      if (norm == Inf) unit <- unit / pmax(abs(unit[, 1]), abs(unit[, 2]))
      ball <- do.call(rbind, lapply(seq(0, 0.6, length.out = 61), function(r) sweep(r * unit, 2, x, "+")))
      p <- plogis(data$y[i] * predict(f, ball, "score"))
      allowed <- c(plogis(data$y[i] * predict(f, x, "score")), p[p >= c])
      found <- plogis(data$y[i] * predict(f, as_points(step)[i, ], "score"))
      expect_lte(abs(found - min(allowed)), 0.006)
    }
  }
})

test_that("stages and limits of c are those of equation (12)", {
  f <- linear_classifier(c(2, 0))
  x <- rbind(c(-1, 0), c(0.5, 0), c(1.5, 0), c(4, 0))
  step <- sensible_examples(x, rep(1, 4), f, 1, 0.9)
  expect_identical(as.character(step$stage), c("A", "A", "B", "C"))
  expect_equal(step$moved, c(0, 0, 1.5 - qlogis(0.9) / 2, 1))
  expect_equal(predict(f, step, "prob")[3], 0.9)
  expect_identical(sensible_examples(x, rep(1, 4), f, 1, 1)$moved, numeric(4))
  expect_identical(sensible_examples(x, rep(1, 4), f, 1, 0)$moved, c(0, 1, 1, 1))
  expect_identical(sensible_examples(x, rep(1, 4), f, 1, 0, misclassified = "move")$moved, rep(1, 4))
  expect_identical(sensible_examples(x, rep(1, 4), linear_classifier(c(0, 0), 1), 1, 0.5)$moved, numeric(4))
})

test_that("invalid input is refused by the name of the argument", {
  f <- vertical_line()
  expect_error(sensible_examples(c(0, 0), 0, f, 1, 0.9), "-1 or \\+1")
  expect_error(sensible_examples(c(0, 0), 1, f, 1, 1.2), "`c`")
  expect_error(sensible_examples(c(0, 0), 1, f, 1, 0.9, K = 0), "`K`")
  expect_error(sensible_examples(c(0, 0), 1, f, 1, 0.9, boundary = "noise"), "project.*revert")
  expect_error(sensible_examples(c(0, 0), 1, "f", 1, 0.9), "linear_classifier")
})
