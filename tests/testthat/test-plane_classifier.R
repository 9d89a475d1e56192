plane_fit <- local({
  fits <- list()
  function(model) {
    if (is.null(fits[[model]])) {
      fits[[model]] <<- train_sense(
        y ~ x2 + x1, three_clusters(600, seed = 1),
        method = "nt", model = model, epochs = 3, pretrain = 0,
        control = sense_control(threads = 1, quiet = TRUE)
      )
    }
    fits[[model]]
  }
})

test_that("a network of the plane has in R the labels and logits that it has in Python", {
  skip_if_no_sense()
  points <- three_clusters(200, seed = 2)
  points$x1 <- points$x1 + rep(c(0, 0.8), 100)
  for (model in c("linear", "mlp", "mlp-8-4")) {
    fit <- plane_fit(model)
    f <- sense:::plane_classifier(fit)
    x <- sense:::as_points(points)
    p <- predict(fit, points, type = "prob")
    expect_lt(max(abs(plogis(attr(f, "score")(x)) - p[, "1"])), 1e-5)
    expect_equal(f(x), ifelse(p[, "1"] > 0.5, 1, -1), ignore_attr = TRUE)
  }
})

test_that("the risk of the network \"linear\" is the closed form of its line", {
  skip_if_no_sense()
  fit <- plane_fit("linear")
  w <- coef(fit)["1", ] - coef(fit)["-1", ]
  line <- linear_classifier(unname(w[c("x1", "x2")]), w[["(Intercept)"]])
  for (eps in c(0, 0.6)) {
    found <- simulate_risk(fit, eps = eps, kind = "robust", n = 2000, seed = 3)
    closed <- linear_risk(line, eps = eps)
    expect_gte(closed, found$lower - 1e-6)
    expect_lte(closed, found$upper + 1e-6)
  }
})

test_that("figure 6 draws the boundaries of classifiers where their score is zero", {
  lines <- list(vertical = vertical_line(), rule = bayes_rule())
  plot <- figure6(fits = lines, n = 50, draws = 200)
  built <- ggplot2::ggplot_build(plot)
  contour <- built$data[[4]]
  vertical <- contour[contour$PANEL == 1, ]
  expect_lt(max(abs(vertical$x)), 0.05)
  rule <- contour[contour$PANEL == 2, ]
  expect_lt(max(abs(rule$x - bayes_boundary(bayes_rule(), rule$y))), 0.1)
  risk <- signif(linear_risk(vertical_line(), eps = 1.6), 2)
  expect_match(levels(plot$data$panel)[1], paste("robust risk", risk), fixed = TRUE)
})

test_that("other networks and lists without names are refused", {
  stored <- read_sense_fit(system.file("extdata", "mnist-demo", "sense", package = "sense"))
  expect_error(simulate_risk(stored), "`classifier` must be a network of the plane")
  expect_error(figure6(fits = list(a = stored)), "`fits` must be a network of the plane")
  expect_error(figure6(fits = list(vertical_line())), "`fits` must be a list .* name")
})

test_that("the boundary of a function that returns a factor is drawn", {
  by_sign <- function(x) factor(ifelse(x[, 1] > 0, 1, -1))
  plot <- figure6(fits = list(a = by_sign), n = 50, draws = 50)
  expect_gt(nrow(layer_data_of(plot, 4)), 100)
  expect_error(figure6(fits = data.frame()), "`fits` must be a list")
  expect_error(figure6(fits = list()), "`fits` must be a list")
})
