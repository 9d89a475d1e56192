#' Multilayer perceptron for parsnip
#'
#' Trains a multilayer perceptron on a table by [train_sense()], with the arguments of parsnip's `mlp()`.
#' `parsnip::set_engine(parsnip::mlp("classification"), "sense")` uses it. The engine is registered when
#' both packages are loaded, in any order; sense does not need parsnip.
#'
#' With parsnip, options of [train_sense()] such as `method`, `c` and `eps` are arguments of
#' `set_engine()`. Predictors must be numeric: an attack on a dummy variable means nothing.
#'
#' @param x,y A data frame or matrix of numeric features, and the classes, as in [train_sense()].
#' @param hidden_units Number of units of the hidden layer, or of each of several hidden layers.
#' @param penalty Weight decay.
#' @param epochs,learn_rate Number of epochs and learning rate. Default: those of the recipe.
#' @param ... Further options of [train_sense()].
#' @param control [sense_control()]. Default: without progress.
#' @return A [sense_fit].
#' @examples
#' if (sense_available()) {
#'   fit <- sense_mlp(iris[1:4], iris$Species, hidden_units = 8, epochs = 2, eps = 0.1)
#'   predict(fit, iris[c(1, 51, 101), 1:4])
#' }
#' # With parsnip, on a machine that has it:
#' # spec <- set_engine(mlp("classification", hidden_units = 8), "sense", method = "sense", eps = 0.1)
#' # fit(spec, Species ~ ., iris)
#' @seealso [train_sense()]
#' @family functions to train
#' @export
sense_mlp <- function(x, y, hidden_units = c(64, 64), penalty = 0, epochs = NULL, learn_rate = NULL, ...,
                      control = sense_control(quiet = TRUE)) {
  if (!is.data.frame(x) && !is.matrix(x)) refuse(x, "x", "a data frame or a matrix of numeric features")
  hidden_units <- check_numbers(hidden_units, min = 1, whole = TRUE)
  penalty <- check_number(penalty, min = 0)
  epochs <- check_count(epochs, allow_null = TRUE)
  if (!is.null(learn_rate)) learn_rate <- check_number(learn_rate, above = 0)
  train_sense(
    as.data.frame(x), y,
    model = paste(c("mlp", hidden_units), collapse = "-"), weight_decay = penalty, epochs = epochs,
    lr = learn_rate, ..., control = control
  )
}

# Register the engine now if parsnip is loaded, otherwise when it is.
register_engine_with_parsnip <- function() {
  if (isNamespaceLoaded("parsnip")) register_engine()
  setHook(packageEvent("parsnip", "onLoad"), function(...) register_engine())
}

register_engine <- function(parsnip = asNamespace("parsnip")) {
  if ("sense" %in% parsnip$get_from_env("mlp")$engine) {
    return(invisible())
  }
  parsnip$set_model_engine("mlp", mode = "classification", eng = "sense")
  parsnip$set_dependency("mlp", eng = "sense", pkg = "sense", mode = "classification")
  for (name in c("hidden_units", "penalty", "epochs", "learn_rate")) {
    parsnip$set_model_arg(
      "mlp", eng = "sense", parsnip = name, original = name, func = list(pkg = "dials", fun = name),
      has_submodel = FALSE
    )
  }
  parsnip$set_fit(
    "mlp", eng = "sense", mode = "classification",
    value = list(
      interface = "data.frame", protect = c("x", "y"), func = c(pkg = "sense", fun = "sense_mlp"),
      defaults = list()
    )
  )
  # Factors arrive as they are, so that train_sense() can refuse them.
  parsnip$set_encoding(
    "mlp", eng = "sense", mode = "classification",
    options = list(
      predictor_indicators = "none", compute_intercept = FALSE, remove_intercept = FALSE,
      allow_sparse_x = FALSE
    )
  )
  for (type in c("class", "prob")) {
    parsnip$set_pred(
      "mlp", eng = "sense", mode = "classification", type = type,
      value = list(
        pre = NULL, post = if (type == "prob") function(x, object) as.data.frame(x), func = c(fun = "predict"),
        args = list(object = quote(object$fit), newdata = quote(new_data), type = type)
      )
    )
  }
}
