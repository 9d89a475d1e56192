skip_if_no_pillow <- function() {
  skip_if_no_sense()
  skip_if_not(reticulate::py_module_available("PIL"), "needs pillow")
}

image_folder <- function() {
  folder <- tempfile("images-")
  pixels <- list(b = matrix((0:11) / 255, 3), a = matrix((100:111) / 255, 3))
  for (class in names(pixels)) {
    dir.create(file.path(folder, class), recursive = TRUE)
    for (i in 1:2) png::writePNG(pixels[[class]], file.path(folder, class, paste0(i, ".png")))
  }
  folder
}

test_that("rows, columns and classes are those of the files", {
  skip_if_no_pillow()
  skip_if_not_installed("png")
  images <- images_from_folder(image_folder())
  expect_equal(dim(images$x), c(4, 3, 4))
  expect_equal(images$x[1, , ], matrix(100:111, 3))
  expect_equal(images$x[3, , ], matrix(0:11, 3))
  expect_equal(images$y, factor(c("a", "a", "b", "b")))
  expect_equal(images$files, c("a/1.png", "a/2.png", "b/1.png", "b/2.png"))
  expect_equal(dim(images_from_folder(image_folder(), size = c(5, 2), colour = TRUE)$x), c(4, 5, 2, 3))
})

test_that("errors name the argument", {
  skip_if_no_pillow()
  skip_if_not_installed("png")
  folder <- image_folder()
  expect_error(images_from_folder(folder, size = 3), "`size`")
  expect_error(images_from_folder(folder, max_images = 3), "4 images, more than max_images = 3")
  writeLines("broken", file.path(folder, "a", "3.png"))
  expect_error(images_from_folder(folder), "a/3.png")
  expect_error(images_from_folder(tempfile()), "no folder")
})

test_that("a folder that is not there is named, with what belongs there", {
  expect_error(images_from_folder("nope"), "no folder 'nope'.*folder of images")
})
