toy <- function() {
  read_sense_evaluation(add_curves(evaluation_folder(list(
    natural = c(1, 1, 1, 1), pgd = c(1, 0, 1, 0), square = c(1, 1, 0, 0)
  ))))
}

test_that("each attack has its accuracy and interval, the first at the top", {
  evaluation <- toy()
  plot <- autoplot(evaluation)
  expect_equal(layer_data_of(plot, 2)$x, evaluation$accuracy$estimate)
  expect_equal(as.numeric(layer_data_of(plot, 2)$y), 4:1)
  expect_equal(layer_data_of(plot, 3)$label, c("100.0 %", "50.0 %", "50.0 %", "25.0 %"))
  expect_equal(plot$labels$title, "toy: SENSE-AT (c = 0.7), capacity-1")
  expect_equal(layer_data_of(plot, 1)$xmin, evaluation$accuracy$lower)
  expect_match(plot$labels$caption, "first 4 of the 9.*95 % Wilson")
})

test_that("the curve has a band", {
  plot <- autoplot(toy(), "curve")
  interval <- wilson_interval(c(4, 3, 1), 4)
  expect_equal(layer_data_of(plot, 3)$y, interval$estimate)
  expect_equal(layer_data_of(plot, 1)$ymin, interval$lower)
  expect_match(plot$labels$x, "l-infinity")
})

test_that("each image has its line of losses, and the median", {
  plot <- autoplot(toy(), "loss")
  lines <- layer_data_of(plot, 1)
  expect_equal(length(unique(lines$group)), 3)
  expect_equal(layer_data_of(plot, 2)$y, 2 * (0:5) / 10)
})

test_that("the worst case falls by step and restart", {
  plot <- autoplot(toy(), "worst-case")
  steps <- layer_data_of(plot, 2)
  expect_equal(steps$y[steps$group == 1], c(1, 1, 1, 2 / 3, 2 / 3, 2 / 3))
  expect_equal(unique(steps$y[steps$group == 2]), 1 / 3)
  band <- layer_data_of(plot, 1)
  expect_equal(unique(band$ymax), wilson_interval(1, 3)$upper)
})

test_that("what was not evaluated is refused with the option that does", {
  bare <- read_sense_evaluation(evaluation_folder(list(natural = 1, pgd = 1)))
  expect_error(autoplot(bare, "curve"), "evaluate_sense\\(fit, curve")
  expect_error(autoplot(bare, "loss"), "convergence = 100")
  expect_error(autoplot(bare, "worst-case"), "convergence = 100")
  expect_error(autoplot(bare, "pie"), "type.*must be one of")
})
