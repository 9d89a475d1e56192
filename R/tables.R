# Tables of numeric features in the form that Python takes.

# The training and test rows as a matrix of features, labels counted from 0, and the scaling by
# `eps` and `bounds`. `train` and `test` have x, a data frame of numbers, and y, the classes.
as_feature_data <- function(train, test, eps, bounds, call = parent.frame()) {
  y <- as_classes(train$y, nrow(train$x), "y", call, "rows")
  check_several(y, "y", call, "rows")
  data <- list(
    features = feature_matrix(train$x, "x", call), y = as.integer(y) - 1L,
    classes = as.list(levels(y)), names = as.list(names(train$x)),
    eps = each_eps(eps, names(train$x), call), bounds = each_bounds(bounds, names(train$x), call)
  )
  if (!is.null(test)) {
    data$x_test <- feature_matrix(test$x, "x_test", call)
    data$y_test <- as.integer(known_classes(test$y, levels(y), nrow(test$x), "y_test", call, "rows")) - 1L
  }
  drop_null(data)
}

# The rows of a formula: features that are columns of the data, and the response.
model_rows <- function(formula, data, na.action, arg, features = NULL, call = parent.frame()) {
  if (!is.data.frame(data)) {
    refuse(
      data, arg, "a data frame",
      cli::format_inline("A formula takes its variables from {.arg {arg}}; {.arg x} may also be a data frame with the classes as {.arg y}."),
      call
    )
  }
  terms <- stats::terms(formula, data = data)
  labels <- gsub("^`|`$", "", attr(terms, "term.labels"))
  if (attr(terms, "response") == 0 || !length(labels)) {
    abort("{.arg formula} must have the classes on the left and features on the right, such as {.code y ~ .}.", call = call)
  }
  other <- c(setdiff(labels, names(data)), names(attr(terms, "offset")))
  if (length(other) || length(attr(terms, "offset"))) {
    abort(
      c(
        "The features on the right of {.arg formula} must be columns of {.arg {arg}}: there is no column {.val {other}}.",
        i = "An attack changes each feature by itself: compute transformations as columns, and leave out interactions and offsets."
      ),
      call = call
    )
  }
  frame <- stats::model.frame(formula, data = data, na.action = na.action, drop.unused.levels = FALSE)
  tell_dropped(attr(frame, "na.action"), nrow(data))
  list(x = as.data.frame(frame[features %||% labels], optional = TRUE), y = stats::model.response(frame))
}

# The rows of a data frame of features with their classes, without those that na.action leaves out.
complete_rows <- function(x, y, na.action, arg, call = parent.frame()) {
  if (length(y) != nrow(x)) as_classes(y, nrow(x), arg, call, "rows")
  frame <- match.fun(na.action)(cbind(x, .y = y))
  tell_dropped(attr(frame, "na.action"), nrow(x))
  list(x = frame[names(x)], y = frame$.y)
}

tell_dropped <- function(dropped, n) {
  if (length(dropped)) {
    cli::cli_inform(
      "{length(dropped)} of {n} row{?s} with missing values {?was/were} left out.",
      class = "sense_na_action"
    )
  }
}

# Numbers, n x d. A factor is refused: an attack would turn a level into a fraction of another.
feature_matrix <- function(x, arg, call = parent.frame()) {
  other <- names(x)[!vapply(x, function(column) plain_numbers(column) && is.null(dim(column)), TRUE)]
  if (length(other)) {
    abort(
      c(
        "Features must be numeric, and {.field {other}} {?is/are} not.",
        x = "{.field {other[1]}} is {describe(x[[other[1]]])}.",
        i = "An attack adds small numbers to each feature, which has no meaning for categories: leave them out, such as {.code . - {other[1]}}, or give numbers in their place."
      ),
      call = call
    )
  }
  rows <- as.matrix(x)
  storage.mode(rows) <- "double"
  if (!nrow(rows)) abort("{.arg {arg}} must have at least one row.", call = call)
  bad <- which(!is.finite(rows), arr.ind = TRUE)
  if (nrow(bad)) {
    abort(
      "{.field {colnames(rows)[bad[1, 2]]}} is {.val {rows[bad[1, 1], bad[1, 2]]}} in row {bad[1, 1]} of {.arg {arg}}: remove these rows, or impute the value.",
      call = call
    )
  }
  unname(rows)
}

# The columns of these names, in this order.
as_frame <- function(x, names, arg, call = parent.frame()) {
  if (!is.data.frame(x) && !(is.matrix(x) && is.numeric(x))) {
    refuse(x, arg, cli::format_inline("a data frame or a matrix with the columns {.val {names}}"), call = call)
  }
  unnamed <- is.matrix(x) && is.null(colnames(x))
  if (unnamed && ncol(x) == length(names)) colnames(x) <- names
  absent <- setdiff(names, colnames(x))
  if (length(absent)) {
    abort("{.arg {arg}} has no column {.val {absent}}: it must have the features of the training, {.val {names}}.", call = call)
  }
  as.data.frame(x)[names]
}

# Images, or rows of features, in the form of the data of a fit.
as_inputs <- function(x, fit, arg, call = parent.frame()) {
  if (has_features(fit)) {
    return(feature_matrix(as_frame(x, unlist(fit$data$features$names), arg, call), arg, call))
  }
  as_image_array(if (is.data.frame(x)) pixel_matrix(x, arg, call) else x, arg, call)
}

has_features <- function(fit) !is.null(fit$data$features)

kind_of_inputs <- function(fit) if (has_features(fit)) "rows" else "images"

# One eps, in standard deviations, is an option; several are part of the scaling.
one_eps <- function(eps) if (length(eps) == 1 && is.null(names(eps))) eps

each_eps <- function(eps, features, call = parent.frame()) {
  if (is.null(eps) || !is.null(one_eps(eps))) {
    return(NULL)
  }
  as.list(in_order_of_features(eps, features, "eps", call))
}

# One number as it is; one per feature in the order of the features.
in_order_of_features <- function(eps, features, arg, call = parent.frame()) {
  if (is.null(eps) || !is.null(one_eps(eps))) {
    return(eps)
  }
  check_numbers(by_feature(eps, features, arg, call), above = 0, arg = arg, call = call)
}

# "range", one pair for all features, or a list of pairs by feature; the others have none.
each_bounds <- function(bounds, features, call = parent.frame()) {
  if (is.null(bounds) || identical(bounds, "range")) {
    return(bounds)
  }
  pair <- function(b) plain_numbers(b) && length(b) == 2 && !anyNA(b) && b[1] < b[2]
  if (pair(bounds)) {
    return(rep(list(as.list(as.numeric(bounds))), length(features)))
  }
  named <- is.list(bounds) && length(bounds) && !is.null(names(bounds)) && all(names(bounds) %in% features)
  if (!named || !all(vapply(bounds, pair, TRUE))) {
    refuse(
      bounds, "bounds", "\"range\", a pair of numbers (low, high), or a list of pairs named by feature",
      call = call
    )
  }
  lapply(unname(features), function(f) as.list(as.numeric(bounds[[f]] %||% c(-Inf, Inf))))
}

by_feature <- function(values, features, arg, call = parent.frame()) {
  named <- !is.null(names(values))
  if (length(values) != length(features) || (named && !setequal(names(values), features))) {
    refuse(
      values, arg,
      cli::format_inline("one number, or {length(features)} named by the features {.val {features}}"),
      call = call
    )
  }
  unname(if (named) values[features] else values)
}

# A data frame with a column for each pixel.
pixel_matrix <- function(x, arg, call = parent.frame()) {
  if (is.data.frame(x) && all(vapply(x, plain_numbers, TRUE))) x <- unname(as.matrix(x))
  if (!is.matrix(x)) refuse(x, arg, "a data frame with a numeric column for each pixel", call = call)
  x
}
