test_that("a matrix has a row per image, its pixels row by row", {
  picture <- matrix(1:9 / 9, 3, 3) # not symmetric: rows and columns cannot be mixed up
  rows <- rbind(as.vector(t(picture)), as.vector(t(picture)) / 2)
  images <- sense:::as_image_array(rows, "x")
  expect_equal(dim(images), c(2, 3, 3))
  expect_equal(images[1, , ], picture)
  expect_equal(images[2, , ], picture / 2)
})

test_that("arrays are not changed", {
  grey <- array(0, c(2, 3, 4))
  colour <- array(0, c(2, 3, 4, 3))
  expect_identical(sense:::as_image_array(grey, "x"), grey)
  expect_identical(sense:::as_image_array(colour, "x"), colour)
})

test_that("labels are counted from 0 in the order of the factor's levels", {
  y <- factor(c("b", "a", "c", "a"), levels = c("c", "b", "a"))
  images <- sense:::as_images(array(0, c(4, 2, 2)), y, array(0, c(1, 2, 2)), "a")
  expect_identical(images$y, c(1L, 2L, 0L, 2L))
  expect_identical(images$y_test, 2L)
  expect_identical(images$classes, list("c", "b", "a"))
})

test_that("without test images all images are passed to Python", {
  x <- array(seq_len(13), c(13, 1, 1))
  images <- sense:::as_images(x, factor(1:13), NULL, NULL)
  expect_equal(as.vector(images$x), 1:13)
  expect_named(images, c("x", "y", "classes"))
})

test_that("invalid images and classes are refused with what was received", {
  as_images <- function(x, y, ...) sense:::as_images(x, y, NULL, NULL)
  expect_error(as_images("a", 1), "numeric array")
  expect_error(as_images(1:10, 1), "numeric array")
  expect_error(as_images(matrix(0, 8, 10), 1:8), "10 pixels.*not the number of pixels of a square")
  expect_error(as_images(array(0, c(8, 2, 2)), NULL), "need their classes")
  expect_error(as_images(array(0, c(8, 2, 2)), 1:7), "each of the 8 images, not 7")
  expect_error(as_images(array(0, c(8, 2, 2)), c(rep(1:2, 3), 1, NA)), "1 missing.*first at 8")
  expect_error(
    sense:::as_images(array(0, c(8, 2, 2)), factor(1:8), array(0, c(1, 2, 2)), NULL),
    "both"
  )
})
