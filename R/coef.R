#' Coefficients
#'
#' The coefficients of a linear classifier: of [linear_classifier()], of a fit of [fit_linear_at()], or
#' of a trained network that is one linear layer. The coefficients of a deeper network mean nothing by
#' themselves, so `coef()` refuses it.
#'
#' @param object A [sense_fit] or a [linear_classifier()].
#' @param ... Not used.
#' @return For a classifier in the plane, three numbers: the intercept and the weights of `x1` and `x2`.
#'   For a linear network, a matrix with a row for each class: the logit is the intercept plus the
#'   weights times the inputs. The inputs of a table are its features in their own units.
#' @examples
#' coef(fit_linear_at(three_clusters(200, seed = 1), iterations = 5))
#' @family functions to train
#' @name coef.sense_fit
NULL

#' @rdname coef.sense_fit
#' @export
coef.linear_classifier <- function(object, ...) {
  c(`(Intercept)` = object$b, x1 = unname(object$w[1]), x2 = unname(object$w[2]))
}

#' @rdname coef.sense_fit
#' @export
coef.sense_fit <- function(object, ...) {
  check_sums(object, "object")
  tensors <- read_tensors(object$weights)
  dims <- lapply(tensors, dim)
  weight <- which(lengths(dims) == 2)
  bias <- which(lengths(dims) == 1)
  classes <- object$data$classes
  if (length(weight) != 1 || length(bias) > 1 || length(tensors) != 1 + length(bias) ||
    dims[[weight]][1] != length(classes)) {
    abort(c(
      "{.arg object} is a network of {length(tensors)} tensors, not one linear layer: its coefficients mean nothing by themselves.",
      i = "Look at {.fn predict}, {.fn adversarial_examples} or {.code autoplot()} instead."
    ))
  }
  weights <- tensors[[weight]]
  intercept <- if (length(bias)) as.vector(tensors[[bias]]) else 0
  features <- object$data$features
  inputs <- unlist(features$names) %||% paste0("x", seq_len(ncol(weights)))
  if (!is.null(features)) {
    # The network takes (x - center) / scale.
    weights <- sweep(weights, 2, unlist(features$scale), "/")
    intercept <- intercept - as.vector(weights %*% unlist(features$center))
  }
  matrix(
    cbind(intercept, weights), length(classes),
    dimnames = list(classes, c("(Intercept)", inputs))
  )
}

# The tensors of a safetensors file as arrays. Its header is JSON after 8 bytes with its length.
read_tensors <- function(bytes) {
  size <- readBin(bytes, "integer", 1, size = 4, endian = "little")
  header <- jsonlite::parse_json(rawToChar(bytes[8 + seq_len(size)]))
  header[["__metadata__"]] <- NULL
  content <- bytes[-seq_len(8 + size)]
  lapply(header, function(tensor) {
    ends <- unlist(tensor$data_offsets)
    width <- c(F32 = 4, F64 = 8)[tensor$dtype]
    shape <- unlist(tensor$shape) %||% 1L
    if (is.na(width)) {
      return(array(NA_real_, shape))
    }
    values <- readBin(content[seq_len(ends[2] - ends[1]) + ends[1]], "numeric", prod(shape), size = width, endian = "little")
    # The last index varies fastest.
    aperm(array(values, rev(shape)))
  })
}
