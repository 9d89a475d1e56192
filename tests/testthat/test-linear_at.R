# Algorithm 2 with one exact step and projection, point by point.
literal_training <- function(data, method, c, eps, rate, iterations, start, sum_gradient,
                             renew_every, natural_first) {
  v <- start
  n <- nrow(data)
  moved <- as.matrix(data[, c("x1", "x2")])
  for (i in seq_len(iterations)) {
    renew <- if (natural_first) i > 1 && (i - 2) %% renew_every == 0 else (i - 1) %% renew_every == 0
    if (renew) {
      w <- v[2:3]
      for (k in seq_len(n)) {
        x <- c(data$x1[k], data$x2[k])
        y <- data$y[k]
        far <- x - y * eps * w / sqrt(sum(w^2))
        p <- function(z) 1 / (1 + exp(-y * (v[1] + sum(w * z))))
        moved[k, ] <- if (method == "nt") x else if (method == "r-at") far else {
          if (p(x) <= c) x else if (p(far) > c) far else {
            # Foot of x on the line where the margin is log(c / (1 - c)).
            x - y * w * (y * (v[1] + sum(w * x)) - log(c / (1 - c))) / sum(w^2)
          }
        }
      }
    }
    gradient <- c(0, 0, 0)
    for (k in seq_len(n)) {
      z <- c(1, moved[k, ])
      gradient <- gradient - data$y[k] * z / (1 + exp(data$y[k] * sum(v * z)))
    }
    v <- v - rate * gradient / (if (sum_gradient) 1 else n)
  }
  v
}

test_that("training equals a literal version point by point, in both settings", {
  data <- three_clusters(60, p = 0.7, m = 3, sigma = 0.6, seed = 4)
  start <- c(0.2, 1.5, 0.4)
  for (method in c("nt", "r-at", "sense")) {
    fast <- fit_linear_at(data, method, c = 0.8, eps = 0.5, learning_rate = 0.3, iterations = 30,
                          start = start)
    slow <- literal_training(data, method, 0.8, 0.5, 0.3, 30, start, FALSE, 1, FALSE)
    expect_equal(c(fast$b, fast$w), unname(slow), tolerance = 1e-10)
    fast <- fit_linear_at(data, method, c = 0.8, eps = 0.5, setting = "script",
                          learning_rate = 0.01, iterations = 30, renew_every = 7, start = start)
    slow <- literal_training(data, method, 0.8, 0.5, 0.01, 30, start, TRUE, 7, TRUE)
    expect_equal(c(fast$b, fast$w), unname(slow), tolerance = 1e-10)
  }
})

test_that("the start is R's own logistic regression", {
  data <- three_clusters(400, m = 2, sigma = 1, seed = 1)
  fit <- fit_linear_at(data, "nt", iterations = 1)
  expect_equal(unname(fit$path[1, ]),
               unname(coef(glm((y + 1) / 2 ~ x1 + x2, binomial, data))), tolerance = 1e-8)
})

test_that("natural training at the logistic optimum stays there", {
  data <- three_clusters(400, m = 2, sigma = 1, seed = 1)
  fit <- fit_linear_at(data, "nt", setting = "large-step")
  expect_equal(fit$path[1, ], fit$path[301, ], tolerance = 1e-5)
})

test_that("c = 1 is natural training; c = 0 is R-AT up to misclassified points", {
  data <- three_clusters(300, m = 2, sigma = 0.9, seed = 2)
  nt <- fit_linear_at(data, "nt", iterations = 20, learning_rate = 1)
  one <- fit_linear_at(data, "sense", c = 1, iterations = 20, learning_rate = 1)
  expect_identical(one$path, nt$path)
  zero <- fit_linear_at(data, "sense", c = 0, eps = 0.3, iterations = 20, learning_rate = 1)
  rat <- fit_linear_at(data, "r-at", eps = 0.3, iterations = 20, learning_rate = 1)
  expect_gt(max(abs(zero$path - rat$path)), 1e-3)
  # Without misclassified points the two are equal.
  clean <- three_clusters(300, seed = 2)
  zero <- fit_linear_at(clean, "sense", c = 0, eps = 0.1, iterations = 20)
  rat <- fit_linear_at(clean, "r-at", eps = 0.1, iterations = 20)
  expect_equal(zero$path, rat$path, tolerance = 1e-12)
})

test_that("R-AT descends to the optimum of its convex objective", {
  data <- three_clusters(400, m = 2, sigma = 1, seed = 3)
  eps <- 0.4
  objective <- function(v) {
    margin <- data$y * (v[1] + v[2] * data$x1 + v[3] * data$x2) - eps * sqrt(sum(v[2:3]^2))
    mean(log1p(exp(-margin)))
  }
  fit <- fit_linear_at(data, "r-at", eps = eps, learning_rate = 0.5, iterations = 2000)
  best <- optim(c(0, 1, 0.1), objective, method = "BFGS", control = list(reltol = 1e-14))
  expect_equal(objective(c(fit$b, fit$w)), best$value, tolerance = 1e-7)
})

test_that("the settings have the numbers of the paper and of the script", {
  settings <- linear_at_settings()
  expect_equal(settings$paper$learning_rate * settings$paper$iterations, 3)
  expect_identical(settings$script[c("iterations", "gradient", "renew_every")],
                   list(iterations = 901L, gradient = "sum", renew_every = 20L))
  fit <- fit_linear_at(three_clusters(50, seed = 1), setting = "script", iterations = 3)
  expect_identical(dim(fit$path), c(4L, 3L))
})

test_that("invalid input is refused with what was expected", {
  data <- three_clusters(50, seed = 1)
  expect_error(fit_linear_at(data, "madry"), "sense.*r-at.*nt")
  expect_error(fit_linear_at(data, c = 2), "`c` must be one number, at least 0 and at most 1")
  expect_error(fit_linear_at(data, eps = -1), "`eps`")
  expect_error(fit_linear_at(data.frame(a = 1)), "columns x1 and x2")
  expect_error(fit_linear_at(transform(as.data.frame(data), y = (y + 1) / 2)), "-1 or \\+1")
  expect_error(fit_linear_at(data[data$y == 1, ]), "both labels")
  expect_error(fit_linear_at(data, start = 1:2), "three finite numbers")
  expect_error(fit_linear_at(data, learning_rate = 1e308, eps = 1e200, "r-at"), "diverged")
})
