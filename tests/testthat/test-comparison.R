right <- function(pgd) list(natural = rep(1, 12), pgd = pgd)
strong <- function() add_curves(evaluation_folder(right(rep(1, 12)), method = "sense"))
weak <- function() add_curves(evaluation_folder(right(c(1, 1, rep(0, 10))), method = "nt"))

test_that("print shows differences in points, with intervals and p-values", {
  said <- paste(capture.output(print(compare_sense(strong(), weak()))), collapse = "\n")
  expect_match(said, "2 networks, the first 12 of the 17 test images of toy\nl-infinity eps = 0.3")
  expect_match(said, "SENSE-AT \\(c = 0.7\\) - NT +PGD +\\+83.3 \\[\\+[0-9.]+, \\+[0-9.]+\\] +10 : 0 of 12 +0.0020 +0.0039")
  expect_match(said, "Tango's 95 % interval.*over the 2 rows")
})

test_that("very small p-values are not printed as none", {
  expect_equal(sense:::format_p(c(1e-12, 0.00012, 1)), c("< 0.0001", "0.0001", "1.0000"))
})

test_that("the picture shows each difference, and which networks are told apart", {
  comparison <- compare_sense(strong(), weak())
  plot <- autoplot(comparison)
  points <- layer_data_of(plot, 3)
  expect_equal(points$x, 100 * comparison$pairs$difference)
  expect_equal(points$shape, c(21, 16))
  expect_equal(layer_data_of(plot, 2)$xmax, 100 * comparison$pairs$upper)
  expect_match(plot$labels$caption, "n = 12|first 12 of the 17")
})

test_that("accuracies and curves are shown side by side", {
  comparison <- compare_sense(strong(), weak())
  expect_equal(sort(layer_data_of(autoplot(comparison, "accuracy"), 2)$x), sort(c(1, 1, 1, 2 / 12)))
  curves <- autoplot(comparison, "curve")
  expect_equal(layer_data_of(curves, 3)$y, rep(c(1, 0.75, 0.25), 2))
  expect_equal(length(unique(layer_data_of(curves, 2)$linetype)), 2)
  expect_error(autoplot(comparison, "nothing"), "type.*must be one of")
})
