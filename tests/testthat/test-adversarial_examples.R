# Two images of 2 x 3 pixels and one channel; the second is fooled.
plain_examples <- function(norm = "inf") {
  list(
    model = "toy", classes = list("a", "b", "c"), shape = list(1L, 2L, 3L),
    attack = list(label = "PGD-10 x 1", eps = 0.25, norm = norm),
    images = list(
      image = c(0L, 1L), label = c(2L, 1L), prediction = c(0L, 1L), probability = c(0.5, 0.9),
      attacked = c(0L, 2L), attacked_probability = c(0.5, 0.75)
    ),
    x = list(c(0, 0.1, 0.2, 0.3, 0.4, 0.5), c(1, 1, 1, 0, 0, 0)),
    x_adv = list(c(0, 0.1, 0.2, 0.3, 0.4, 0.5), c(0.75, 1, 1, 0, 0.25, 0))
  )
}

test_that("pixels are converted from Python's order to R's", {
  examples <- sense:::as_examples(plain_examples())
  expect_equal(dim(examples$x), c(2, 2, 3, 1))
  expect_equal(examples$x[1, 1, , 1], c(0, 0.1, 0.2))
  expect_equal(examples$x[1, 2, , 1], c(0.3, 0.4, 0.5))
  expect_equal(examples$x_adv[2, 1, 1, 1], 0.75)
  expect_equal(examples$table$class, c("c", "b"))
  expect_equal(sense:::attack_results(examples$table), c("misclassified", "fooled"))
  colour <- plain_examples()
  colour$shape <- list(3L, 1L, 2L)
  expect_equal(sense:::as_examples(colour)$x[1, 1, 2, ], c(0.1, 0.3, 0.5))
})

test_that("stored examples equal those from Python, gzipped or not", {
  folder <- tempfile("run-")
  dir.create(folder)
  path <- file.path(folder, "examples.json")
  write_json_file(plain_examples(), path)
  sealed(folder)
  expect_equal(adversarial_examples(folder), sense:::as_examples(plain_examples()))
  write_json_file(plain_examples(), zipped <- gzfile(paste0(path, ".gz"), "w"))
  close(zipped)
  unlink(path)
  sealed(folder)
  expect_equal(adversarial_examples(folder), sense:::as_examples(plain_examples()))
  cat("x", file = paste0(path, ".gz"), append = TRUE)
  expect_error(adversarial_examples(folder), "examples.json.gz.*damaged or was changed")
})

test_that("the picture has three panels per image, with the predictions", {
  plot <- autoplot(sense:::as_examples(plain_examples()))
  pixels <- ggplot2::ggplot_build(plot)$data[[1]]
  expect_equal(as.vector(table(pixels$PANEL)), rep(6, 6))
  # Row 1, column 3 of the first image, which is 0.2 grey.
  at <- pixels[pixels$PANEL == 1 & pixels$x == 3 & pixels$y == -1, ]
  expect_equal(at$fill, grDevices::rgb(0.2, 0.2, 0.2))
  # The perturbation of the second: -eps is black, none is grey, eps is white.
  turned <- pixels[pixels$PANEL == 4, ]
  expect_equal(turned$fill[turned$x == 1 & turned$y == -1], "#000000")
  expect_equal(turned$fill[turned$x == 2 & turned$y == -2], "#FFFFFF")
  expect_equal(turned$fill[turned$x == 3 & turned$y == -2], "#808080")
  headings <- sub("^[^|]*\\|", "", levels(plot$data$panel))
  expect_equal(headings[c(1, 2, 5, 6)], c("a (50 %)\nis c", "b (90 %)", "a (50 %)\nmisclassified", "c (75 %)\nfooled"))
  expect_match(gsub("\n", " ", plot$labels$caption), "PGD-10 x 1, l-infinity eps = 0.25.*first 2 test images")
})

test_that("in other norms the largest change is drawn white", {
  expect_equal(sense:::perturbation_scale(sense:::as_examples(plain_examples("2"))), 0.25)
})

test_that("a fit, its folder and its stored examples give the same images", {
  skip_if_no_sense()
  fit <- short_fit()
  digits <- sample_images(3)
  examples <- adversarial_examples(fit, n = 3, steps = 3, restarts = 1)
  expect_equal(examples$x[, , , 1], digits$x / 255, tolerance = 1e-6)
  expect_lte(max(abs(examples$x_adv - examples$x)), fit$config$eps + 1e-5)
  expect_equal(examples$table$prediction, as.character(predict(fit, digits$x)))
  again <- predict(fit, examples$x_adv[, , , 1], type = "prob")
  expect_equal(examples$table$attacked_probability, apply(again, 1, max), tolerance = 1e-4)
  own <- adversarial_examples(fit, attack = "fgsm", eps = 0, x = digits$x / 255, y = digits$y, n = 2)
  expect_equal(own$x_adv, own$x)
  expect_equal(own$x, examples$x[1:2, , , , drop = FALSE], tolerance = 1e-6)
  expect_identical(own, readRDS({
    file <- tempfile()
    saveRDS(own, file)
    file
  }))
})

test_that("only a fit or the folder of a run is accepted", {
  expect_error(adversarial_examples(1), "must be a result of `train_sense\\(\\)`")
  expect_error(adversarial_examples(tempdir()), "not the folder of a finished run")
})
