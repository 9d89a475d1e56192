# Images and classes as R users have them, in the form that Python takes.

# Training and test parts, and the names of the classes, labels counted from 0.
as_images <- function(x, y, x_test, y_test, call = parent.frame()) {
  x <- as_image_array(x, "x", call)
  y <- as_classes(y, nrow(x), "y", call)
  if (is.null(x_test) != is.null(y_test)) {
    cli::cli_abort("Give both {.arg x_test} and {.arg y_test}, or neither.", call = call)
  }
  if (is.null(x_test)) {
    aside <- each_sixth(nrow(x), call)
    x_test <- take_images(x, aside)
    y_test <- y[aside]
    x <- take_images(x, -aside)
    y <- y[-aside]
  } else {
    x_test <- as_image_array(x_test, "x_test", call)
    y_test <- as_classes(factor(y_test, levels = levels(y)), nrow(x_test), "y_test", call)
  }
  list(
    x = x, y = as.integer(y) - 1L,
    x_test = x_test, y_test = as.integer(y_test) - 1L,
    classes = as.list(levels(y))
  )
}

as_image_array <- function(x, arg, call = parent.frame()) {
  dims <- dim(x)
  if (!is.numeric(x) || !length(dims) %in% 2:4) {
    cli::cli_abort(
      c(
        "{.arg {arg}} must be a numeric array of images x height x width (x channels), or a matrix with a row for each square image.",
        x = "It is {.cls {class(x)}} of dimensions {.val {dims}}."
      ),
      call = call
    )
  }
  if (length(dims) > 2) {
    return(x)
  }
  side <- sqrt(dims[2])
  if (side != round(side)) {
    cli::cli_abort(
      "{.arg {arg}} has rows of {dims[2]} pixels, which is no square image: pass an array of images x height x width.",
      call = call
    )
  }
  # A row holds an image row by row, so its column index runs fastest.
  aperm(array(x, c(dims[1], side, side)), c(1, 3, 2))
}

as_classes <- function(y, n, arg, call = parent.frame()) {
  if (is.null(y)) {
    cli::cli_abort("Images need their classes: give {.arg {arg}}, a factor.", call = call)
  }
  y <- if (is.factor(y)) y else factor(y)
  if (length(y) != n) {
    cli::cli_abort(
      "{.arg {arg}} must hold a class for each of the {n} images, not {length(y)}.",
      call = call
    )
  }
  if (anyNA(y)) {
    cli::cli_abort(
      "{.arg {arg}} has {sum(is.na(y))} missing or unknown class{?es}, first at {which(is.na(y))[1]}.",
      call = call
    )
  }
  y
}

each_sixth <- function(n, call = parent.frame()) {
  if (n < 6) {
    cli::cli_abort(
      "{n} image{?s} are too few to set some aside: give {.arg x_test} and {.arg y_test}.",
      call = call
    )
  }
  seq(6, n, by = 6)
}

take_images <- function(x, which) {
  if (length(dim(x)) == 3) x[which, , , drop = FALSE] else x[which, , , , drop = FALSE]
}
