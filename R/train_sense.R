#' Train a robust classifier of images or of a table
#'
#' Trains a network by sensible adversarial training (SENSE-AT, Algorithms 1 and 2 of Kim and Wang),
#' by natural training (NT), or by another adversarial method. Options, defaults and results are those
#' of `python -m sense.train`.
#'
#' `train_sense()` without arguments trains a network by SENSE-AT on a sample of MNIST that is part of
#' the package. This takes some minutes on two cores. Ctrl-C stops the training after the present step
#' and saves a checkpoint. `train_sense(control = sense_control(resume = folder))` resumes the run with
#' its own options. Then only `data_dir`, `device`, `threads`, `cuda_graphs`, `minutes` and
#' `monitor_size` may be changed, and `epochs` may be increased (with `schedule = "constant"` and a new `lr` if the schedule was
#' cosine or one-cycle).
#'
#' `out`, `resume`, `device`, `threads`, `seed`, `monitor_size` and `quiet` are arguments of
#' [sense_control()]. All other options are arguments of `train_sense()`.
#'
#' @section Collapse:
#' Adversarial training can collapse: the network predicts one class for nearly all images, or, with
#' `"fgsm-rs"`, `"n-fgsm"` and `"free"`, it withstands the one step that it is trained with but not PGD
#' (catastrophic overfitting). After each epoch both are tested on the monitored images.
#' `fit$metrics$collapse` names what was found in an epoch, and `train_sense()` gives a warning of
#' class `sense_collapse`.
#'
#' @section Defaults:
#' An option that is not given has its value in the recipe. The default recipe is `"mnist-demo"`; for
#' CIFAR10 and other colour images it is `"cifar10-demo"`, but with all training images.
#'
#' | option | `"mnist-demo"` | `"cifar10-demo"` | `"mnist"` (the paper) |
#' |---|---|---|---|
#' | `model` | capacity-3 | cifar-cnn-2 | small-cnn |
#' | `train_size` | all | 10000 | all |
#' | `augment` | none | none | none |
#' | `c` | 0.7 | 0.5 | 0.7 |
#' | `norm` | inf | inf | inf |
#' | `eps` | 0.3 | 8/255 | 0.3 |
#' | `step_size` | 0.05 | 2/255 | 0.05 |
#' | `steps` | 10 | 10 | 10 |
#' | `boundary` | revert | revert | revert |
#' | `pretrain` | 1 | 4 | 10 |
#' | `epochs` | 12 | 12 | 500 |
#' | `batch_size` | 128 | 64 | 128 |
#' | `optimizer` | sgd | sgd | sgd |
#' | `momentum` | 0.9 | 0.9 | 0.9 |
#' | `lr` | 0.03 | 0.03 | 0.01 |
#' | `schedule` | one-cycle | one-cycle | constant |
#' | `weight_decay` | 0 | 0.0002 | 0 |
#' | `seed` | 1 | 1 | 1 |
#'
#' `python -m sense.train RECIPE --help` prints all options, with the defaults of that recipe. All
#' options of a trained network are in `fit$config`, and `summary(fit)` prints them.
#'
#' @section Precision and speed:
#' All recipes have `precision = "auto"`: bfloat16 where the processor or GPU is made for it and a
#' timing of the network before training shows that it is faster, otherwise float32 (on an NVIDIA GPU
#' TF32). Use `precision = "float32"` for results that are equal on different machines, bit for bit.
#' `cuda_graphs` is `"auto"`, `"off"`, `"on"` or `"compact"` and has an effect on NVIDIA GPUs only.
#' `fit$config` has what was chosen, and a run that is resumed keeps it.
#'
#' @section Tables:
#' `train_sense(formula, data)` trains on the numeric columns of a data frame: `Species ~ .`, or
#' `y ~ x1 + x2`. `train_sense(x, y)` takes a data frame of features and their classes. Defaults are those
#' of the recipe `"table"`: `model = "mlp"`, `eps = 0.2`, a step size of `eps / 4`, 5 epochs of natural
#' training and 35 of the method, `batch_size = 32`, `lr = 0.05`.
#'
#' * Each feature is standardised by its mean and standard deviation in the training data. Both are
#'   kept in `fit$data$features`, and new data are scaled in the same way.
#' * One `eps` is in standard deviations. A vector named by the features has an `eps` for each feature in
#'   its own units: the features are then divided by multiples of their `eps`, and `fit$config$eps` is the
#'   radius of the ball after that. The same is true of `eval_eps`; several must be one multiple of `eps`.
#' * An attack changes each feature by itself, so features must be numeric columns of the data. Factors,
#'   transformations and interactions are refused: an attack would turn a level into a fraction
#'   of another. Numbers in their place, computed before, can be used.
#' * The response may be a factor, whose levels are kept, or strings, `TRUE` and `FALSE` or whole numbers.
#'   For classes of unequal size, `class_weights = "balanced"`, or a number for each level (by its name or in
#'   their order), weights the loss.
#' * Networks are `"mlp"` (two hidden layers of 64 units), `"mlp-32-16"` (layers of these widths), and
#'   `"linear"` (multinomial logistic regression).
#'
#' @param x Images or features. A string is the name of a data set, see `data`. An array n x height x
#'   width (x channels) has images, and so has a matrix with a row for each square greyscale image, its
#'   pixels row by row. Pixels are numbers from 0 to 1, or integers from 0 to 255. A data frame has a
#'   column for each feature.
#' @param inputs `"pixels"` or `"features"`: what the columns of a matrix or of a data frame are.
#' @param formula,test The classes on the left, features on the right, which are columns of the data frame
#'   `data`. `test` is a data frame with test rows, if there are any.
#' @param bounds Bounds of attacked features: none (default); `"range"`, the range of the data; one pair
#'   `c(low, high)`; or a list of pairs named by feature, such as `list(age = c(0, Inf))`.
#' @param na.action What to do with rows with missing values, such as [stats::na.omit()] (default, with a
#'   message) or [stats::na.fail()].
#' @param data With `formula`: a data frame. Otherwise `"mnist-sample"` (10,000 training and 2,000 test images of MNIST, part of the package),
#'   `"mnist"` (all of it) or `"cifar10"` (its binary version). The last two are downloaded once into
#'   the cache directory [tools::R_user_dir()], or read from the folder `data_dir`. Default:
#'   `"mnist-sample"`. Leave it out if you pass `x`.
#' @param method Training method: `"sense"` (default); `"nt"` (natural training); `"r-at"` (regular
#'   adversarial training, Madry et al.); the published methods `"trades"`, `"mart"`, `"mma"` and `"iaat"`;
#'   `"fgsm-rs"` (Fast), `"n-fgsm"` and `"free"`, adversarial training with one step per update, which
#'   costs a fraction of `"r-at"`; or `"sense-trades"`, sensible adversarial training with a loss like that of
#'   TRADES. Or `"module:name"`, a Python function or class of your own; so may `optimizer`, `schedule` and
#'   `augment` be. Name it again to resume the run.
#' @param model Network: `"small-cnn"`, the network of the paper's section 5.2.1; `"capacity-1"`,
#'   `"capacity-2"`, ..., the paper's CNNs of increasing capacity; for colour images `"cifar-cnn-1"`,
#'   `"cifar-cnn-2"`, `"resnet20"` (32, 44, 56), `"resnet18"`, `"preact-resnet18"` and `"wrn-34-10"`. Or `"module:factory"`, a function
#'   that returns a network, in a module that Python can import. To resume a run of such a network, pass
#'   `model` again, because this runs the code of the module.
#' @param c Lowest probability of the true class that an attacked image may have, from 0 to 1. The
#'   paper recommends 0.5 or more.
#' @param eps Radius of the ball of perturbations, with pixels from 0 to 1. A number such as `8 / 255`,
#'   or a string such as `"8/255"`. For a table see the section Tables.
#' @param epochs Number of epochs of the method, after the `pretrain` epochs of natural training.
#' @param ... Further options by name, as `python -m sense.train --help` lists them, with `_` in place
#'   of `-`: those of the table above, `eval_eps` (the radius to evaluate with, if it differs from `eps`),
#'   `random_start`, `warmup`, `beta` (TRADES, MART), `d_max` (MMA), `gamma` (IAAT), `fgsm_step` (FGSM-RS,
#'   N-FGSM, Free), `noise_scale` (N-FGSM), `replays` (Free), `label_smoothing`, `ema`, `awp`,
#'   `milestones`, `validation_size`, `keep`, `data_dir` and others.
#'   `norm` is `Inf`, 2 or 1. `milestones` are epochs, or fractions of `epochs` such as `c(0.5, 0.75)`.
#'   `minutes` is a time limit of the training in minutes. It sets the number of epochs by the measured
#'   speed; `pretrain`, `warmup`, `eps_ramp` and `milestones` keep their share of it. If the time is
#'   over before the last epoch, the fit is the network of that moment, with a warning of class
#'   `sense_unfinished`.
#' @param y Classes of the training images or rows: a factor, or a vector that [factor()] accepts.
#' @param x_test,y_test Test images or rows and their classes, in the same form. Training does not use them.
#'   Without them one sixth of `x` is held out for validation. These images are drawn with the seed, with
#'   the same share of each class. `validation_size` sets another number, and `fit$validation` has the
#'   positions of these images. Evaluate the network only on images that it was not trained on.
#' @param recipe Named set of options to start from: `"mnist-demo"`, `"mnist-fast"`,
#'   `"cifar10-demo"`, `"cifar10-fast"` and `"cifar10-gpu"`; the paper's `"mnist"` (500 epochs), `"cifar10-cnn"`, `"cifar10-resnet"` and
#'   `"cifar10-wrn-34-10"`; or that of another method's authors, such as `"trades-cifar10"`.
#' @param config File with options, which the other arguments replace: a TOML file with options by name
#'   and, if wanted, `recipe`; or the `config.json` of a run, to train the same again. Code that it names
#'   (`"module:name"`) is not run unless an argument names it too.
#' @param control [sense_control()]: folder, device and seed of the run.
#' @return A [sense_fit]: plain R data, which can be saved by [saveRDS()].
#' @seealso [images_from_folder()] reads your own images, [install_sense()] makes the Python environment, [evaluate_sense()] attacks the network.
#' @examples
#' if (sense_available()) {
#'   # A small network on few images; train_sense() alone takes some minutes.
#'   fit <- train_sense(
#'     model = "capacity-1", train_size = 200, epochs = 1, control = sense_control(threads = 1)
#'   )
#'   fit
#'   autoplot(fit)
#'
#'   # A table, with eps in standard deviations.
#'   flowers <- train_sense(
#'     Species ~ ., iris,
#'     epochs = 5, control = sense_control(threads = 1, quiet = TRUE)
#'   )
#'   predict(flowers, iris[c(1, 51, 101), ], type = "prob")
#' }
#' \dontrun{
#' train_sense()
#' train_sense(Species ~ ., iris, eps = c(
#'   Sepal.Length = 0.2, Sepal.Width = 0.2, Petal.Length = 0.2, Petal.Width = 0.1
#' ), bounds = c(0, Inf), class_weights = "balanced")
#' train_sense(method = "r-at", epochs = 2, control = sense_control(threads = 2))
#' train_sense("cifar10", "trades", "resnet20", eps = "8/255", recipe = "cifar10-resnet")
#' train_sense(control = sense_control(resume = "runs/sense"), epochs = 20)
#' }
#' @family functions to train
#' @export
train_sense <- function(x = "mnist-sample", ...) UseMethod("train_sense")

#' @rdname train_sense
#' @export
train_sense.default <- function(x = "mnist-sample", method = NULL, model = NULL, c = NULL, eps = NULL,
                                epochs = NULL, ..., data = NULL, formula = NULL,
                                recipe = NULL, config = NULL, control = sense_control()) {
  if (!is.null(formula)) {
    if (!missing(x)) {
      abort("Give either {.arg x} or {.arg formula} with {.arg data}, not both.")
    }
    if (!inherits(formula, "formula")) refuse(formula, "formula", "a formula, such as y ~ .")
    return(train_sense.formula(
      formula, data, method, model, c, eps, epochs,
      ..., recipe = recipe, config = config, control = control
    ))
  }
  if (!missing(x) && !is.null(data)) {
    abort("Give either {.arg data}, the name of a data set, or {.arg x}, not both.")
  }
  name <- if (missing(x)) data else x
  if (!is.null(name) && !is_string(name)) {
    refuse(
      name, if (missing(x)) "data" else "x",
      "the name of a data set, an array of images, or a matrix or data frame",
      cli::format_inline("To train on a table: {.code train_sense(formula, data)}."),
      call = parent.frame()
    )
  }
  start_training(
    method = method, model = model, c = c, eps = eps, epochs = epochs, ...,
    recipe = recipe, config = config, control = control, .dataset = name, .command = sys.call()
  )
}

#' @rdname train_sense
#' @export
train_sense.array <- function(x, y = NULL, x_test = NULL, y_test = NULL, ...) {
  images <- as_images(x, y, x_test, y_test)
  start_training(..., .images = images, .dataset = "arrays", .command = sys.call())
}

#' @rdname train_sense
#' @export
train_sense.matrix <- function(x, y = NULL, x_test = NULL, y_test = NULL, ..., inputs = "pixels") {
  inputs <- check_choice(inputs, c("pixels", "features"))
  if (inputs == "features") {
    if (is.null(colnames(x))) colnames(x) <- paste0("x", seq_len(ncol(x)))
    return(train_sense.data.frame(as.data.frame(x), y, x_test, y_test, ...))
  }
  train_sense.array(x, y, x_test, y_test, ...)
}

#' @rdname train_sense
#' @export
train_sense.data.frame <- function(x, y = NULL, x_test = NULL, y_test = NULL, eps = NULL, bounds = NULL,
                                   na.action = stats::na.omit, ..., inputs = "features") {
  inputs <- check_choice(inputs, c("pixels", "features"))
  if (inputs == "pixels") {
    return(train_sense.array(
      pixel_matrix(x, "x"), y, if (!is.null(x_test)) pixel_matrix(x_test, "x_test"), y_test, eps = eps, ...
    ))
  }
  check_both(x_test, y_test)
  train <- complete_rows(x, y, na.action, "y")
  test <- if (!is.null(x_test)) complete_rows(as_frame(x_test, names(x), "x_test"), y_test, na.action, "y_test")
  table <- as_feature_data(train, test, eps, bounds)
  start_training(
    eps = one_eps(eps), ..., .images = table, .dataset = "table", .rows = train$rows, .command = sys.call()
  )
}

#' @rdname train_sense
#' @export
train_sense.formula <- function(formula, data = NULL, method = NULL, model = NULL, c = NULL, eps = NULL,
                                epochs = NULL, ..., test = NULL, bounds = NULL,
                                na.action = stats::na.omit) {
  train <- model_rows(formula, data, na.action, "data")
  held <- if (!is.null(test)) model_rows(train$formula, test, na.action, "test")
  table <- as_feature_data(train, held, eps, bounds, c("data", "test"))
  start_training(
    method = method, model = model, c = c, eps = one_eps(eps), epochs = epochs, ...,
    .images = table, .dataset = "table", .rows = train$rows, .command = sys.call()
  )
}

# Collects the options and trains. `.images` is what Python gets in place of the data set, and `.rows` the
# rows of the user's data that are in it. The dots keep these names apart from those of options.
start_training <- function(..., recipe = NULL, config = NULL, control = sense_control(), .images = NULL,
                           .dataset, .rows = NULL, .command, .call = parent.frame()) {
  call <- .call
  check_class(control, "sense_control", "sense_control", "control", call)
  recipe <- check_string(recipe, allow_null = TRUE, arg = "recipe", call = call)
  check_path(config, "config", call)
  options <- named_dots(..., .call = call)
  again <- intersect(c("data", "dataset"), names(options))
  if (length(again) && !is.null(.dataset)) {
    abort("Leave out {.arg {again}}: the data are given already.", call = call)
  }
  set <- utils::modifyList(drop_null(list(dataset = .dataset)), options)
  of_control <- intersect(c("out", "resume", "quiet"), names(options))
  if (length(of_control)) {
    abort("{.arg {of_control}} {?belongs/belong} into {.arg control}: {.code control = sense_control({of_control[1]} = )}.", call = call)
  }
  # Of a table it may have a number for each feature, as eps.
  features <- unlist(.images$names)
  if (!is.null(features)) set$eval_eps <- in_order_of_features(set$eval_eps, features, "eval_eps", call)
  set$class_weights <- in_order_of_classes(set$class_weights, unlist(.images$classes), call)
  options <- as_options(utils::modifyList(control$options, set), call)
  # Resuming takes the stored options; `model` is then permission to run the network's code.
  allowed_model <- if (!is.null(control$resume)) options$model
  if (!is.null(allowed_model)) options$model <- NULL
  command <- control$command %||% command_text(.command, "train_sense")
  fit <- run_training(options, recipe, .images, control, command, model = allowed_model, config = config, call = call)
  if (!is.null(.rows)) fit$validation <- .rows[fit$validation]
  fit
}

# The part that needs Python.
run_training <- function(options, recipe, images, control, command, model = NULL, config = NULL,
                         call = parent.frame()) {
  resume <- !is.null(control$resume)
  folder <- control$resume %||% control$out %||% tempfile("sense-run-")
  done <- call_python("train", list(
    options = options, recipe_name = recipe, out = path.expand(folder), images = images,
    resume = resume, cache_dir = tools::R_user_dir("sense", "cache"),
    on_epoch = progress_lines(control$quiet, training = TRUE),
    command = command, model = model, base = control$base,
    config_file = if (!is.null(config)) path.expand(config)
  ), call)
  if (done$stopped) {
    abort(
      c(
        "Training was stopped before its end.",
        i = "To resume it: {.code train_sense(control = sense_control(resume = \"{folder}\"))}."
      ),
      call = call, class = "sense_stopped"
    )
  }
  fit <- read_sense_fit(folder)
  fit$validation <- as.integer(unlist(done$validation)) + 1L
  if (!is.null(done$collapse)) {
    cli::cli_warn("{translate_message(done$collapse, training = TRUE)}.", call = call, class = "sense_collapse")
  }
  if (!is.null(done$unfinished)) {
    cli::cli_warn("{translate_message(done$unfinished, training = TRUE)}.", call = call, class = "sense_unfinished")
  }
  fit
}

named_dots <- function(..., .call = parent.frame()) {
  dots <- list(...)
  if (length(dots) && !all_named(dots)) {
    abort("Further options must be named, such as {.code steps = 10}.", call = .call)
  }
  drop_null(dots)
}

# Vectors of several values become lists, which Python expects.
as_options <- function(options, call = parent.frame()) {
  options <- drop_null(options)
  for (name in names(options)) check_option(options[[name]], name, call)
  lapply(options, function(value) {
    value <- as.vector(value)
    if (length(value) > 1) as.list(unname(value)) else unname(value)
  })
}

# Weights that are named by class, in the order of the classes.
in_order_of_classes <- function(weights, classes, call = parent.frame()) {
  if (is.null(names(weights))) {
    return(weights)
  }
  if (is.null(classes)) {
    abort("Leave out the names of {.arg class_weights}, in the order of the classes: the classes of a data set are not known in R.", call = call)
  }
  by_name(weights, classes, "class_weights", "classes", call)
}

# Numbers, strings, TRUE or FALSE; Python checks the rest.
check_option <- function(value, name, call = parent.frame()) {
  plain <- is.null(dim(value)) && !is.object(value) && length(value) &&
    (is.character(value) || is.numeric(value) || is.logical(value))
  if (!plain || anyNA(value)) {
    refuse(value, name, "a number, a string, TRUE or FALSE, or several of them", call = call)
  }
  if (length(value) > 1 && !is.null(names(value))) {
    abort("The values of {.arg {name}} must have no names: their order counts.", call = call)
  }
}
