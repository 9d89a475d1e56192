# Images and classes of R users in the form that Python takes.

# Training and test images, labels counted from 0, and the names of the classes.
as_images <- function(x, y, x_test, y_test, call = parent.frame()) {
  x <- as_image_array(x, "x", call)
  y <- as_classes(y, nrow(x), "y", call)
  check_several(y, "y", call)
  check_both(x_test, y_test, call)
  images <- list(x = x, y = as.integer(y) - 1L, classes = as.list(levels(y)))
  if (!is.null(x_test)) {
    images$x_test <- as_image_array(x_test, "x_test", call)
    y_test <- known_classes(y_test, levels(y), nrow(images$x_test), "y_test", call)
    images$y_test <- as.integer(y_test) - 1L
  }
  images
}

check_both <- function(x_test, y_test, call = parent.frame()) {
  if (is.null(x_test) != is.null(y_test)) {
    abort("Give both {.arg x_test} and {.arg y_test}, or neither.", call = call)
  }
}

as_image_array <- function(x, arg, call = parent.frame()) {
  dims <- dim(x)
  if (!plain_numbers(x) || !length(dims) %in% 2:4) {
    abort(
      c(
        "{.arg {arg}} must be a numeric array of images x height x width (x channels), or a matrix with a row for each square image.",
        x = "You gave {.cls {class(x)}}{if (length(dims)) ' of dimensions '}{.val {dims}}.",
        i = if (is.logical(x)) "For black and white images give {.code {arg} * 1}."
      ),
      call = call
    )
  }
  if (!all(dims > 0)) {
    abort("{.arg {arg}} must hold at least one image: its dimensions are {.val {dims}}.", call = call)
  }
  if (!is.finite(sum(x))) {
    abort("{.arg {arg}} has pixels that are missing or not finite, the first at {which(!is.finite(x))[1]}: remove or repair these images.", call = call)
  }
  if (is.integer(x) && max(x) == 1L && min(x) == 0L) {
    abort(
      c(
        "{.arg {arg}} has no integers but 0 and 1. Integers are read as bytes, 0 black and 255 white, so all pixels would be nearly black.",
        i = "If 1 is white, give real numbers: {.code {arg} * 1}. If the pixels are bytes: {.code {arg} / 255}."
      ),
      call = call
    )
  }
  if (length(dims) > 2) {
    return(x)
  }
  side <- sqrt(dims[2])
  if (side != round(side)) {
    abort(
      c(
        "{.arg {arg}} has rows of {dims[2]} pixels, which is not the number of pixels of a square image: give an array of images x height x width.",
        i = "If the columns are features, not pixels: {.code inputs = \"features\"}."
      ),
      call = call
    )
  }
  # A row holds an image row by row, so its column index varies fastest.
  aperm(array(x, c(dims[1], side, side)), c(1, 3, 2))
}

as_classes <- function(y, n, arg, call = parent.frame(), what = "images") {
  if (is.null(y)) {
    abort("{tools::toTitleCase(what)} need their classes: give {.arg {arg}}, a factor.", call = call)
  }
  y <- only_column(y)
  if (length(y) != n) {
    abort(
      "{.arg {arg}} must hold a class for each of the {n} {what}, not {length(y)}.",
      call = call
    )
  }
  if (!is.factor(y)) y <- plain_classes(y, arg, call, what)
  if (anyNA(y)) {
    abort(
      "{.arg {arg}} has {sum(is.na(y))} missing or unknown class{?es}, the first at {which(is.na(y))[1]}: remove these {what}, or give their classes.",
      call = call
    )
  }
  y
}

# Classes may be a data frame of one column, such as iris["Species"].
only_column <- function(y) if (is.data.frame(y) && length(y) == 1) y[[1]] else y

# Classes from strings, whole numbers, TRUE and FALSE.
plain_classes <- function(y, arg, call = parent.frame(), what = "images") {
  y <- as_vector(y)
  kind <- !is.object(y) && is.null(dim(y)) && (is.character(y) || is.logical(y) || is.numeric(y))
  if (!kind || !length(y)) {
    refuse(y, arg, paste0("the classes of the ", what, ": a factor, strings or whole numbers"), call = call)
  }
  values <- unique(y[!is.na(y)])
  fractions <- is.numeric(y) && any(!is.finite(values) | values != round(values))
  if (fractions || (is.numeric(y) && length(values) > 2 && 2 * length(values) > length(y))) {
    abort(
      c(
        "{.arg {arg}} has {length(values)} different number{?s} for {length(y)} {what}{if (fractions) ', with fractions'}: these are measurements, not classes.",
        i = "If each number is a class: {.code factor({arg})}."
      ),
      call = call
    )
  }
  factor(y)
}

# Classes, which must be among those of the training.
known_classes <- function(y, levels, n, arg, call = parent.frame(), what = "images") {
  y <- only_column(y)
  if (!is.null(y) && !is.factor(y) && (is.object(y) || !(is.character(y) || is.logical(y) || is.numeric(y)))) {
    plain_classes(y, arg, call, what)
  }
  if (!is.null(y)) y <- factor(as_vector(y), levels = levels)
  as_classes(y, n, arg, call, what)
}

# A network learns nothing from one class.
check_several <- function(y, arg, call = parent.frame(), what = "images") {
  there <- unique(y)
  if (length(there) < 2) {
    abort(
      "{.arg {arg}} has one class only, {.val {as.character(there)}}: give {what} of at least two classes.",
      call = call
    )
  }
}

