test_that("equations (10), (11) and (14) are equal, over models, radii, c and norms", {
  data <- three_clusters(300, m = 2, sigma = 0.9, seed = 1)
  for (norm in c(2, Inf)) for (c in c(0, 0.2, 0.5, 0.9, 1)) for (eps in c(0, 0.3, 2)) {
    f <- linear_classifier(c(1.2, 0.5), 0.1)
    loss <- lapply(c("truncated", "partition", "example"), function(w) {
      sensible_loss(data, data$y, f, eps, c, w, norm)
    })
    expect_equal(loss[[1]], loss[[2]], tolerance = 1e-12)
    expect_equal(loss[[1]], loss[[3]], tolerance = 1e-12)
  }
})

test_that("for a model that is not linear, the loss is the largest over Definition 3's set", {
  rule <- bayes_rule(0.7, 2, 0.9)
  data <- three_clusters(40, 0.7, 2, 0.9, seed = 3)
  angle <- seq(0, 2 * pi, length.out = 361)
  eps <- 0.5
  c <- 0.7
  p_label <- function(z, y) {
    p <- predict(rule, z, "prob")
    if (y > 0) p else 1 - p
  }
  stages <- character()
  for (i in seq_len(40)) {
    x <- c(data$x1[i], data$x2[i])
    ball <- do.call(rbind, lapply(seq(0, eps, length.out = 201), function(r) {
      cbind(x[1] + r * cos(angle), x[2] + r * sin(angle))
    }))
    p <- p_label(ball, data$y[i])
    natural <- p_label(x, data$y[i])
    brute <- -log(min(natural, p[p >= c]))
    for (form in c("truncated", "partition")) {
      expect_equal(sensible_loss_from_probabilities(natural, min(natural, p), c, form), brute, tolerance = 0.02)
    }
    stages <- c(stages, as.character(sensible_stage(natural, min(natural, p), c)))
  }
  expect_setequal(stages, c("A", "B", "C"))
})

test_that("c = 1 gives the natural loss, c -> 0 the regular adversarial loss", {
  natural <- c(0.2, 0.6, 0.95)
  adversarial <- c(0.1, 0.3, 0.9)
  expect_equal(sensible_loss_from_probabilities(natural, adversarial, 1), -log(natural))
  expect_equal(sensible_loss_from_probabilities(natural, adversarial, 0), -log(adversarial))
  gap <- vapply(10^-(1:6), function(c) max(sensible_loss_from_probabilities(natural, adversarial, c) + log(adversarial)), 0)
  expect_identical(gap[2:6], numeric(5))
})

test_that("invalid input is refused by the name of the argument", {
  expect_error(sensible_loss_from_probabilities(0.5, 0.6, 0.9), "must not exceed")
  expect_error(sensible_loss_from_probabilities(1.5, 0.6, 0.9), "`p_natural` must be one or more numbers, at least 0 and at most 1")
  expect_error(truncated_natural_loss(0.5, 2), "`c`")
})
