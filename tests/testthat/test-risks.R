inside <- function(interval, value) interval$lower <= value & value <= interval$upper

test_that("closed form and simulation agree over a grid, in both norms", {
  grid <- expand.grid(p = c(0.5, 0.8), m = c(1.5, 4), sigma = c(0.3, 0.8), gamma = c(0, 1, 3))
  lines <- list(vertical_line(), linear_classifier(c(1, 0.7), -0.4))
  missed <- 0
  for (i in seq_len(nrow(grid))) for (f in lines) for (norm in c(2, Inf)) {
    g <- grid[i, ]
    exact <- linear_risk(f, g$p, g$m, g$sigma, g$gamma * g$sigma, norm)
    # At level 0.9999 one of 96 true statements fails in a hundred runs. The seed is fixed.
    found <- simulate_risk(f, g$p, g$m, g$sigma, g$gamma * g$sigma, norm,
                              if (g$gamma > 0) "robust" else "standard", n = 4000,
                              level = 0.9999, seed = i)
    expect_identical(found$bound, "exact")
    missed <- missed + !inside(found, exact)
  }
  expect_identical(missed, 0)
})

test_that("the closed form is the paper's with 1/sigma", {
  for (sigma in c(0.2, 0.5, 1)) for (gamma in c(0, 2, 8)) {
    expect_equal(linear_risk(vertical_line(), 0.95, 7, sigma, gamma * sigma),
                 pnorm(gamma - 1 / sigma), tolerance = 1e-12)
  }
  expect_identical(linear_risk(linear_classifier(c(0, 0), 1), eps = 3), 0.5)
})

# The region robustly labelled y is bounded by the graph h moved by the ball, so the risk
# is a sum of one-dimensional integrals: a way without distances and draws.
bayes_risk_by_quadrature <- function(p, m, sigma, eps, norm) {
  rule <- bayes_rule(p, m, sigma)
  shift <- seq(-eps, eps, length.out = 201)
  reach <- if (norm == 2) sqrt(pmax(0, eps^2 - shift^2)) else rep(eps, length(shift))
  grid <- seq(-m - 8 * sigma, m + 8 * sigma, length.out = 1501)
  outer_edge <- vapply(grid, function(t) max(bayes_boundary(rule, t + shift) + reach), 0)
  inner_edge <- vapply(grid, function(t) min(bayes_boundary(rule, t + shift) - reach), 0)
  density <- p * dnorm(grid, m, sigma) + (1 - p) * dnorm(grid, -m, sigma)
  wrong <- density * pnorm((outer_edge - 1) / sigma) +
    dnorm(grid, 0, sigma) * pnorm((inner_edge + 1) / sigma, lower.tail = FALSE)
  sum(wrong) * diff(grid[1:2]) / 2
}

test_that("the Bayes rule's simulated risks agree with quadrature over a grid", {
  grid <- expand.grid(p = c(0.5, 0.8), m = c(1.5, 4), sigma = c(0.4, 0.9), gamma = c(0.7, 1.5))
  for (i in seq_len(nrow(grid))) for (norm in c(2, Inf)) {
    g <- grid[i, ]
    eps <- g$gamma * g$sigma
    found <- simulate_risk(bayes_rule(g$p, g$m, g$sigma), g$p, g$m, g$sigma, eps, norm,
                              n = 10000, level = 0.9999, seed = i)
    expect_true(inside(found[1, ], bayes_risk_by_quadrature(g$p, g$m, g$sigma, 0, norm)))
    expect_true(inside(found[2, ], bayes_risk_by_quadrature(g$p, g$m, g$sigma, eps, norm)))
    # Theorem 1(a): the sensible risk of the Bayes rule is its standard risk.
    expect_identical(found$errors[3], found$errors[1])
  }
})

test_that("a classifier given as a function has a lower bound of the risk", {
  f <- vertical_line()
  exact <- simulate_risk(f, 0.7, 3, 0.8, 0.6, n = 1000, seed = 1)
  found <- simulate_risk(function(x) predict(f, x), 0.7, 3, 0.8, 0.6, n = 1000, seed = 1)
  expect_identical(found$bound, c("exact", "lower bound", "lower bound"))
  expect_identical(found$errors[1], exact$errors[1])
  expect_true(all(found$errors <= exact$errors))
  expect_true(all(found$errors[2:3] >= 0.97 * exact$errors[2:3]))
})

test_that("invalid input is refused by the name of the argument", {
  expect_error(linear_risk(bayes_rule()), "linear_classifier")
  expect_error(linear_risk(vertical_line(), eps = -1), "`eps`")
  expect_error(simulate_risk(vertical_line(), kind = "natural"), "standard.*robust.*sensible")
})
