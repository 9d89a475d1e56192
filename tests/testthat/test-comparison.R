correct <- function(pgd) list(natural = rep(1, 12), pgd = pgd)
strong <- function() add_curves(evaluation_folder(correct(rep(1, 12)), method = "sense", name = "strong"))
weak <- function() add_curves(evaluation_folder(correct(c(1, 1, rep(0, 10))), method = "nt", name = "weak"))

test_that("print shows differences in percentage points with intervals and p-values", {
  said <- paste(capture.output(print(compare_sense(strong(), weak()))), collapse = "\n")
  expect_match(said, "2 networks, the first 12 of the 17 test images of toy\nl-infinity eps = 0.3\n  strong: SENSE-AT \\(c = 0.7\\)\n  weak: NT\n")
  expect_match(said, "strong - weak +PGD +\\+83.3 \\[\\+[0-9.]+, \\+[0-9.]+\\] +10 : 0 of 12 +0.0020 +0.0039")
  expect_match(said, "Tango's 95 % interval.*over the 2 rows")
})

test_that("very small p-values are not printed as zero", {
  expect_equal(sense:::format_p(c(1e-12, 0.00012, 1)), c("< 0.0001", "0.0001", "1.0000"))
})

test_that("the picture shows each difference, its interval, and the result of the test", {
  comparison <- compare_sense(strong(), weak())
  plot <- autoplot(comparison)
  points <- layer_data_of(plot, 3)
  expect_equal(points$x, 100 * comparison$pairs$difference)
  expect_equal(points$shape, c(21, 16))
  expect_equal(layer_data_of(plot, 2)$xmax, 100 * comparison$pairs$upper)
  expect_equal(layer_data_of(plot, 4)$label, c("+0.0", "+83.3"))
  expect_equal(levels(plot$data$couple), "strong minus weak")
  caption <- gsub("\n", " ", plot$labels$caption)
  expect_match(caption, "first 12 of the 17.*not adjusted.*Holm's method for all 2 comparisons")
})

test_that("all panels of differences have one scale", {
  built <- ggplot2::ggplot_build(autoplot(compare_sense(strong(), weak())))
  expect_equal(length(unique(built$layout$layout$SCALE_X)), 1)
})

test_that("a difference that is significant only before the adjustment has its own symbol", {
  pairs <- data.frame(p = c(0.001, 0.03, 0.2), p_holm = c(0.003, 0.06, 0.2))
  expect_equal(
    as.character(sense:::test_results(pairs, 0.95)),
    c("significant, also after Holm's adjustment", "significant on its own only", "not significant")
  )
})

test_that("accuracies and curves are shown side by side", {
  comparison <- compare_sense(strong(), weak())
  expect_equal(sort(layer_data_of(autoplot(comparison, "accuracy"), 3)$x), sort(c(1, 1, 1, 2 / 12)))
  curves <- autoplot(comparison, "curve")
  expect_equal(layer_data_of(curves, 3)$y, rep(c(1, 0.75, 0.25), 2))
  lines <- layer_data_of(curves, 2)
  expect_equal(length(unique(lines$linetype)), 2)
  expect_equal(length(unique(lines$colour)), 2)
  # Equal accuracies are beside each other.
  expect_false(any(duplicated(layer_data_of(curves, 3)[c("x", "y")])))
  expect_error(autoplot(comparison, "nothing"), "type.*must be one of")
})
