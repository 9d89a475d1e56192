layer_of <- function(plot, i) ggplot2::ggplot_build(plot)$data[[i]]

test_that("figure 2 draws the classifiers of Example 2", {
  plot <- figure2(cells = 24)
  tiles <- plot$data
  d <- tiles[grepl("^\\(d\\)", tiles$panel), ]
  expect_equal(d$class, example2_classifier(d, "sensible", 1 / 24))
  # Cells of 1/24: exact areas of squares whose sides are multiples of it.
  truth <- as.integer(d$x1 > 0.5)
  expect_equal(mean(d$class != truth), example2_risk("sensible", 1 / 24, 0.7))
})

test_that("figure 3 has the sensible loss on the cross-entropy curve", {
  dots <- layer_of(figure3(0.6), 4)
  expect_equal(dots$y, -log(dots$x), tolerance = 1e-10)
})

test_that("figure 4 shows the Bayes boundary and prints the closed-form risks", {
  plot <- figure4(n = 500)
  curve <- plot$data[plot$data$id == "Bayes", ]
  expect_equal(curve$x1, bayes_boundary(bayes_rule(0.95), curve$x2))
  expect_match(unique(plot$data$panel)[2], sprintf("%.4f", linear_risk(vertical_line(), eps = 1.6)))
  ignoring <- two_cluster_line(0.95)
  ends <- plot$data[plot$data$id == "p = 0.95", ]
  expect_equal(predict(ignoring, ends, "score"), c(0, 0), tolerance = 1e-10)
})

test_that("figure 4 shows all circles whole", {
  plot <- figure4(n = 100)
  limits <- plot$coordinates$limits$y
  outer <- layer_of(plot, 2)
  expect_lt(max(abs(outer$y)), max(limits))
})

test_that("figure 6 shows all points and clusters whole", {
  plot <- figure6(c(0, 300), n = 300)
  for (layer in c(1, 3)) {
    expect_lt(max(abs(layer_of(plot, layer)$x)), max(plot$coordinates$limits$x))
    expect_lt(max(abs(layer_of(plot, layer)$y)), max(plot$coordinates$limits$y))
  }
})

test_that("figure 5 draws Phi(gamma - 1 / sigma)", {
  d <- figure5()$data
  expect_equal(d$risk, pnorm(d$gamma - 1 / d$sigma), tolerance = 1e-12)
  expect_error(figure5(sigma = 0), "sigma.*2 or more numbers, greater than 0")
})

test_that("figure 6 shows the boundary of the iteration named", {
  plot <- figure6(c(0, 300), n = 300)
  expect_identical(length(unique(layer_of(plot, 4)$PANEL)), 4L)
  fit <- fit_linear_at(three_clusters(300, seed = 1), "sense", setting = "large-step")
  line <- plot$layers[[4]]$data
  line <- line[line$method == "SENSE-AT" & line$panel == "iteration 300", ]
  expect_equal(predict(fit, line, "score"), c(0, 0), tolerance = 1e-9)
  expect_error(figure6(c(0, 301), n = 50), "from 0 to 300")
})

test_that("the path plot marks types", {
  fit <- fit_linear_at(three_clusters(100, seed = 1), "r-at", iterations = 5)
  expect_identical(nrow(plot_path(fit)$data), 6L)
  expect_error(plot_path(1), "fit_linear_at")
})

test_that("plot_path() has a panel for each fit", {
  data <- three_clusters(100, seed = 1)
  fit <- function(...) fit_linear_at(data, "sense", iterations = 3, ...)
  panels <- function(fits) levels(plot_path(fits)$data$panel)
  expect_equal(panels(list(fit(c = 0.5), fit(c = 0.9))), paste0("SENSE-AT, setting \"paper\", c = ", c(0.5, 0.9)))
  expect_equal(panels(list(fit(c = 0.5), fit(c = 0.5))), paste0("SENSE-AT, setting \"paper\", fit ", 1:2))
  expect_equal(panels(list(one = fit(), two = fit())), c("one", "two"))
  expect_equal(as.vector(table(plot_path(list(fit(), fit(eps = 0.1)))$data$panel)), c(4, 4))
})

test_that("a boundary outside the window is not drawn", {
  fit <- fit_linear_at(three_clusters(100, seed = 2), "nt", iterations = 2, start = c(50, 1, 1), learning_rate = 1e-9)
  plot <- autoplot(fit, three_clusters(100, seed = 2), type = "boundary")
  expect_s3_class(ggplot2::ggplot_build(plot), "ggplot_built")
})
